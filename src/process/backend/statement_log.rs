//! `log_statement`, `log_duration`, `log_min_duration_statement` and their samples, in PostgreSQL's words.

use super::super::context::ProcessContext;
use crate::config;
use crate::report::Report;
use crate::sql::host::StatementClass;
use crate::sync::Monotonic;

/// Whether `log_statement` asks for statements of this class.
pub fn is_asked_for(ctx: &ProcessContext<'_>, class: StatementClass) -> bool {
    match ctx.settings.get(config::LOG_STATEMENT) {
        "all" => true,
        "mod" => class >= StatementClass::Modifying,
        "ddl" => class == StatementClass::Definition,
        _ => false,
    }
}

/// Logs a statement, or an Execute with its parameters.
pub fn statement(ctx: &ProcessContext<'_>, what: &str, text: &str, parameters: String) {
    ctx.log(&with_parameters(Report::log(format!("{what}: {text}")), parameters));
}

fn with_parameters(report: Report, parameters: String) -> Report {
    if parameters.is_empty() { report } else { report.with_detail(format!("Parameters: {parameters}")) }
}

/// How many bytes of each parameter are shown; none of them at all for `None`.
pub fn shown_of_parameters(ctx: &ProcessContext<'_>) -> Option<usize> {
    match ctx.settings.get(config::LOG_PARAMETER_MAX_LENGTH) {
        0 => None,
        most => Some(usize::try_from(most).unwrap_or(usize::MAX)),
    }
}

/// What is to be said of how long something took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Nothing,
    Duration,
    DurationAndText,
}

/// Whether durations are asked for by any setting, so that the clock need not be read if they are not.
pub fn times_anything(ctx: &ProcessContext<'_>, transaction_is_sampled: bool) -> bool {
    transaction_is_sampled
        || ctx.settings.get(config::LOG_DURATION)
        || ctx.settings.get(config::LOG_MIN_DURATION_STATEMENT) >= 0
        || ctx.settings.get(config::LOG_MIN_DURATION_SAMPLE) >= 0
}

/// Times one message's work.
#[derive(Clone, Copy, Debug)]
pub struct Timed {
    /// When it began; `None` if nobody wants to know.
    pub began: Option<Monotonic>,
    /// Whether its text is in the log already.
    pub was_logged: bool,
    /// Whether its transaction is one of `log_transaction_sample_rate`.
    pub is_sampled: bool,
}

impl Timed {
    /// Logs how long it took, if it is to be logged. `what` makes `statement: TEXT` and its kin, and the parameters.
    pub fn end(self, ctx: &ProcessContext<'_>, what: impl FnOnce() -> (String, String)) {
        let Some(began) = self.began else { return };
        let micros = Monotonic::now().saturating_since(began).as_micros() as u64;
        let duration = format!("duration: {}.{:03} ms", micros / 1000, micros % 1000);
        match self.verdict(ctx, micros) {
            Verdict::Nothing => {}
            Verdict::Duration => ctx.log(&Report::log(duration)),
            Verdict::DurationAndText => {
                let (text, parameters) = what();
                ctx.log(&with_parameters(Report::log(format!("{duration}  {text}")), parameters));
            }
        }
    }

    fn verdict(self, ctx: &ProcessContext<'_>, micros: u64) -> Verdict {
        let exceeds = |limit: i64| u64::try_from(limit).is_ok_and(|limit| micros / 1000 >= limit);
        let long = exceeds(ctx.settings.millis(config::LOG_MIN_DURATION_STATEMENT));
        let sample = exceeds(ctx.settings.millis(config::LOG_MIN_DURATION_SAMPLE))
            && chance(ctx.settings.get(config::LOG_STATEMENT_SAMPLE_RATE));
        let tells = long || sample || self.is_sampled;
        match (tells, self.was_logged) {
            (true, false) => Verdict::DurationAndText,
            (true, true) => Verdict::Duration,
            (false, _) if ctx.settings.get(config::LOG_DURATION) => Verdict::Duration,
            (false, _) => Verdict::Nothing,
        }
    }
}

/// True with this probability.
pub fn chance(probability: f64) -> bool {
    if probability <= 0.0 || probability >= 1.0 {
        return probability >= 1.0;
    }
    let mut bytes = [0; 8];
    // Without random bits nothing is sampled.
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    filled.is_ok() && (u64::from_ne_bytes(bytes) as f64) < probability * u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::chance;

    #[test]
    fn the_ends_of_chance_are_certain() {
        assert!(chance(1.0) && !chance(0.0));
        let hits = (0..1000).filter(|_| chance(0.5)).count();
        // Seven standard deviations.
        assert!((390..610).contains(&hits), "{hits}");
    }
}
