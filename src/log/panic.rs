//! What the log says of a panic of our own code.

use std::panic::PanicHookInfo;

use crate::report::{Report, Severity, SqlState};

/// A report of a panic, for a panic hook: the message is the panic's, and only the log is told where it happened.
///
/// `severity` is `Fatal` where the session alone ends by it, `Panic` where the server does.
pub fn panic_report(info: &PanicHookInfo<'_>, severity: Severity) -> Report {
    let text = info.payload_as_str().unwrap_or("panic without a message");
    let mut report = Report::new(severity, SqlState::INTERNAL_ERROR, format!("internal error: {text}"));
    if let Some(place) = info.location() {
        report = report.with_detail_log(format!("Panicked at {place}."));
        // A report keeps names of source files for good; a process panics once, so this leaks once.
        report.file = Box::leak(place.file().to_owned().into_boxed_str());
        report.line = place.line();
    }
    report
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, set_hook, take_hook};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn message_and_place() {
        // Hooks are the whole process's, and other tests may panic meanwhile: only this thread's are looked at.
        let (sender, reports) = mpsc::channel();
        let own = std::thread::current().id();
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if std::thread::current().id() == own {
                let _ = sender.send(panic_report(info, Severity::Fatal));
            } else {
                before(info);
            }
        }));
        let line = line!() + 1;
        let _ = catch_unwind(|| panic!("no {}", "luck"));
        let _ = take_hook();
        let report = reports.recv().unwrap();
        assert_eq!(report.message, "internal error: no luck");
        assert_eq!((report.severity, report.sqlstate.code()), (Severity::Fatal, "XX000"));
        assert_eq!((report.file, report.line), (file!(), line));
        let place = format!("Panicked at {}:{line}:", file!());
        assert!(report.detail_log.is_some_and(|text| text.starts_with(&place)));
        assert_eq!(report.detail, None);
    }
}
