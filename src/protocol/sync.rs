//! The error rule of the extended protocol: after an error in it, messages are passed over until Sync.

use super::frame::MessageKind;

/// What follows an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterError {
    /// Send ReadyForQuery and read on.
    ReadyForQuery,
    /// Read on; ReadyForQuery is the answer to the Sync that ends the passing over.
    SkipUntilSync,
}

/// Which messages of the main loop to handle. Messages that a running COPY reads for itself do not go through it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtendedSync {
    skipping: bool,
    in_extended: bool,
}

impl ExtendedSync {
    /// Notes that a message came; whether it is to be decoded and handled.
    #[must_use]
    pub const fn admit(&mut self, kind: MessageKind) -> bool {
        match kind {
            MessageKind::Sync | MessageKind::Terminate => self.skipping = false,
            _ => {}
        }
        self.in_extended = match kind {
            MessageKind::Parse
            | MessageKind::Bind
            | MessageKind::Describe
            | MessageKind::Execute
            | MessageKind::Close
            | MessageKind::Flush => true,
            MessageKind::Query
            | MessageKind::FunctionCall
            | MessageKind::Sync
            | MessageKind::Terminate
            | MessageKind::CopyData
            | MessageKind::CopyDone
            | MessageKind::CopyFail
            | MessageKind::Authentication => false,
        };
        !self.skipping
    }

    /// Notes that handling the last message that was admitted ended in an error.
    pub const fn failed(&mut self) -> AfterError {
        self.skipping = self.in_extended;
        if self.skipping { AfterError::SkipUntilSync } else { AfterError::ReadyForQuery }
    }

    /// Whether messages are being passed over.
    pub const fn is_skipping(&self) -> bool {
        self.skipping
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MessageKind as K;

    /// What happens to each message of `script`: `+` handled, `-` passed over; `!` lets the last one fail.
    fn run(script: &[(K, bool)]) -> String {
        let mut sync = ExtendedSync::default();
        let mut seen = String::new();
        for &(kind, fails) in script {
            let admitted = sync.admit(kind);
            seen.push(if admitted { '+' } else { '-' });
            if admitted && fails {
                seen.push(if sync.failed() == AfterError::ReadyForQuery { 'Z' } else { '!' });
            }
        }
        seen
    }

    #[test]
    fn an_extended_error_skips_until_sync_and_a_simple_one_does_not() {
        let cases: [(&[(K, bool)], &str); 7] = [
            (&[(K::Query, true), (K::Query, false)], "+Z+"),
            (&[(K::Parse, true), (K::Bind, false), (K::Execute, false), (K::Sync, false)], "+!--+"),
            (&[(K::Parse, true), (K::Query, false), (K::Sync, false), (K::Query, false)], "+!-++"),
            (&[(K::Bind, true), (K::Terminate, false)], "+!+"),
            (&[(K::Parse, false), (K::Sync, true), (K::Query, false)], "++Z+"),
            (&[(K::FunctionCall, true), (K::Flush, true), (K::FunctionCall, false)], "+Z+!-"),
            (&[(K::Execute, true), (K::CopyData, false), (K::CopyDone, false), (K::Sync, false)], "+!--+"),
        ];
        for (script, seen) in cases {
            assert_eq!(run(script), seen, "{script:?}");
        }
    }
}
