//! Layout proofs and reflection: one macro behind each struct asserts its size, alignment, every offset and the absence
//! of hidden padding, and keeps the same facts as data for the C header and the printed map.
//!
//! # Safety
//! The macro implements the unsafe trait [`SharedStruct`], the contract of which it checks as far as it can be checked:
//! fields are integers, atomics, arrays of them or structs that passed it themselves, without gaps between them.

use core::fmt::{self, Write};

/// A field's place in its struct; sizes and offsets in bytes.
#[derive(Clone, Copy, Debug)]
pub struct FieldLayout {
    /// Name in Rust and in C.
    pub name: &'static str,
    /// Offset from the start of the struct.
    pub offset: usize,
    /// Size of the whole field, all elements of an array.
    pub size: usize,
    /// C's name of the (element) type.
    pub c_type: &'static str,
    /// Number of elements if the field is an array.
    pub array_len: Option<usize>,
}

/// A struct's layout, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct StructLayout {
    /// Name in Rust and in C.
    pub name: &'static str,
    /// Size, a multiple of the alignment.
    pub size: usize,
    /// Alignment.
    pub align: usize,
    /// All fields, padding included, in order and without gaps.
    pub fields: &'static [FieldLayout],
}

/// A type that may lie in shared memory.
///
/// # Safety
/// All bit patterns are valid, zero is the initial state, there is no hidden padding and no pointer, and whatever is
/// written after the segment was published is written through atomics. `shared_layout!` checks what can be checked.
#[allow(unsafe_code)]
pub unsafe trait SharedStruct: Sized + Send + Sync + 'static {
    /// Its layout as data.
    const LAYOUT: StructLayout;
}

/// A field type as C names it.
pub trait CField {
    /// C's name of the (element) type.
    const C_TYPE: &'static str;
    /// Number of elements if this is an array.
    const ARRAY_LEN: Option<usize> = None;
}

macro_rules! c_fields {
    ($($rust:ty => $c:literal),* $(,)?) => {
        $(impl CField for $rust { const C_TYPE: &'static str = $c; })*
    };
}
c_fields!(u8 => "uint8_t", u32 => "uint32_t", u64 => "uint64_t");
#[cfg(not(model))]
c_fields!(crate::atomic::AtomicU32 => "uint32_t", crate::atomic::AtomicU64 => "uint64_t");

impl<T: CField, const N: usize> CField for [T; N] {
    const C_TYPE: &'static str = T::C_TYPE;
    const ARRAY_LEN: Option<usize> = Some(N);
}

#[doc(hidden)]
pub mod private {
    pub use core::mem::{align_of, offset_of, size_of};
    pub use static_assertions::{assert_impl_all, const_assert, const_assert_eq};
}

/// Proves a shared struct's layout at compile time and implements [`SharedStruct`] for it.
///
/// Size, alignment and each field's offset are written out, so that a change of layout is a change of this text. Fields
/// must follow each other without gaps: padding is a field. Also for shared structs of other crates.
#[macro_export]
macro_rules! shared_layout {
    ($name:ident, size $size:literal, align $align:literal, { $($offset:literal => $field:ident: $type:ty),* $(,)? }) => {
        #[cfg(not(model))]
        const _: () = {
            use $crate::reflect::private::{align_of, const_assert, const_assert_eq, offset_of, size_of};
            const_assert_eq!(size_of::<$name>(), $size);
            const_assert_eq!(align_of::<$name>(), $align);
            $(const_assert_eq!(offset_of!($name, $field), $offset);)*
            const SIZES: &[(usize, usize)] = &[$(($offset, size_of::<$type>())),*];
            const_assert!($crate::reflect::has_no_gaps(SIZES, $size));
            // Names every field with its type: one that is missing above does not compile.
            const _: fn(&$name) = |s| {
                let $name { $($field),* } = s;
                $(let _: &$type = $field;)*
            };
            $crate::reflect::private::assert_impl_all!($name: Send, Sync);
        };

        // SAFETY: fields are integers, atomics, or structs that passed this macro; no gaps (asserted above).
        #[cfg(not(model))]
        #[allow(unsafe_code)]
        unsafe impl $crate::reflect::SharedStruct for $name {
            const LAYOUT: $crate::reflect::StructLayout = $crate::reflect::StructLayout {
                name: stringify!($name),
                size: $size,
                align: $align,
                fields: &[$($crate::reflect::FieldLayout {
                    name: stringify!($field),
                    offset: $offset,
                    size: core::mem::size_of::<$type>(),
                    c_type: <$type as $crate::reflect::CField>::C_TYPE,
                    array_len: <$type as $crate::reflect::CField>::ARRAY_LEN,
                }),*],
            };
        }

        #[cfg(not(model))]
        impl $crate::reflect::CField for $name {
            const C_TYPE: &'static str = concat!("struct ", stringify!($name));
        }
    };
}

/// Whether fields `(offset, size)` in order cover a struct of `size` bytes without a gap.
pub const fn has_no_gaps(fields: &[(usize, usize)], size: usize) -> bool {
    let (mut end, mut i) = (0, 0);
    while i < fields.len() {
        if fields[i].0 != end {
            return false;
        }
        end += fields[i].1;
        i += 1;
    }
    end == size
}

/// Writes the structs as a C11 header, in the given order.
pub fn write_c_header(out: &mut impl Write, structs: &[StructLayout]) -> fmt::Result {
    writeln!(out, "/* Generated by `cargo xtask layout --header`: tuskd's shared memory. */")?;
    writeln!(out, "#ifndef TUSKD_SHMEM_LAYOUT_H\n#define TUSKD_SHMEM_LAYOUT_H\n#include <stdint.h>\n")?;
    for layout in structs {
        writeln!(out, "struct {} {{", layout.name)?;
        for (i, field) in layout.fields.iter().enumerate() {
            write!(out, "    ")?;
            if i == 0 {
                // Aligning the first member aligns the struct.
                write!(out, "_Alignas({}) ", layout.align)?;
            }
            write!(out, "{} {}", field.c_type, field.name)?;
            if let Some(n) = field.array_len {
                write!(out, "[{n}]")?;
            }
            writeln!(out, "; /* at {} */", field.offset)?;
        }
        writeln!(out, "}};\n")?;
    }
    writeln!(out, "#endif")
}
