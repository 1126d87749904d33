//! The terminal of `tuskd top`: keys one by one and unseen, and everything as it was afterwards.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr,
};

use crate::control::data_directory::reason;
use crate::control::instance::wait_readable;
use crate::control::program::{Failure, say};
use crate::os::clock::Monotonic;
use crate::os::signal::{self, Signal, SignalFd, SignalSet};

const HIDE_CURSOR: &str = "\x1b[?1049h\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h\x1b[?1049l";
const CTRL_C: u8 = 3;
const DEFAULT_SIZE: (usize, usize) = (24, 80);

/// The terminal, changed for as long as this lives.
pub struct Terminal {
    before: Option<Termios>,
    mask: SignalSet,
    signals: SignalFd,
}

impl Terminal {
    /// Takes the terminal over, if there is one at both ends. Signals that would end the process are read instead, so
    /// that the terminal is given back first.
    pub fn enter() -> Result<Self, Failure> {
        let ends = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];
        let set = ends.iter().fold(SignalSet::empty(), |set, signal| set.with(*signal));
        let mask = signal::block(&set);
        let failed =
            |error: std::io::Error| Failure::new(format!("could not wait for signals: {}", reason(&error)));
        let signals = signal::signalfd(&set).map_err(failed)?;
        let stdin = std::io::stdin();
        let is_terminal = isatty(&stdin) && isatty(std::io::stdout());
        let before = if is_terminal { tcgetattr(&stdin).ok() } else { None };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
            raw.special_codes[SpecialCodeIndex::VMIN] = 0;
            raw.special_codes[SpecialCodeIndex::VTIME] = 0;
            let _ = tcsetattr(&stdin, OptionalActions::Now, &raw);
            say(HIDE_CURSOR);
        }
        Ok(Self { before, mask, signals })
    }

    /// Whether somebody watches.
    pub fn is_interactive(&self) -> bool {
        self.before.is_some()
    }

    /// Rows and columns.
    pub fn size(&self) -> (usize, usize) {
        match tcgetwinsize(std::io::stdout()) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
            _ => DEFAULT_SIZE,
        }
    }

    /// Waits until `time` (`false`), or less long if the user wants to leave (`true`).
    pub fn quit_before(&self, time: Monotonic) -> bool {
        let stdin = std::io::stdin();
        loop {
            let mut fds: Vec<BorrowedFd<'_>> = vec![self.signals.as_fd()];
            if self.is_interactive() {
                fds.push(stdin.as_fd());
            }
            let ready = wait_readable(&fds, Some(time));
            if ready[0] {
                return true;
            }
            if !ready.get(1).is_some_and(|ready| *ready) {
                return false;
            }
            let mut keys = [0; 64];
            match rustix::io::read(&stdin, &mut keys) {
                // A terminal that hung up.
                Ok(0) | Err(_) => return true,
                Ok(read) if keys[..read].iter().any(|key| matches!(*key, b'q' | b'Q' | CTRL_C)) => {
                    return true;
                }
                Ok(_) => {}
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            say(SHOW_CURSOR);
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
        // A signal that came was obeyed by leaving; let in now it would end the process before it can say why.
        while self.signals.read().is_ok_and(|signal| signal.is_some()) {}
        signal::set_mask(&self.mask);
    }
}
