//! Link options of the program: its segments begin on huge pages, since it moves its code to such pages (src/os/code.rs).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,max-page-size=0x200000,-z,separate-loadable-segments");
    }
}
