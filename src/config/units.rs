//! Units of memory and time: what a bare number counts, what a suffix multiplies, and which suffix reads best.

/// What a bare number of a setting counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Kilobytes of 1024 bytes.
    Kilobytes,
    /// Pages of 8 kilobytes.
    Pages,
    /// Megabytes.
    Megabytes,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
}

/// Suffixes of memory, largest first, with their bytes.
const MEMORY: [(&str, f64); 5] =
    [("TB", 1_099_511_627_776.0), ("GB", 1_073_741_824.0), ("MB", 1_048_576.0), ("kB", 1024.0), ("B", 1.0)];

/// Suffixes of time, largest first, with their microseconds.
const TIME: [(&str, f64); 6] = [
    ("d", 86_400_000_000.0),
    ("h", 3_600_000_000.0),
    ("min", 60_000_000.0),
    ("s", 1_000_000.0),
    ("ms", 1000.0),
    ("us", 1.0),
];

impl Unit {
    /// The word in `pg_settings.unit` and in complaints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "B",
            Self::Kilobytes => "kB",
            Self::Pages => "8kB",
            Self::Megabytes => "MB",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Minutes => "min",
        }
    }

    /// Whether it counts time, else memory.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Milliseconds | Self::Seconds | Self::Minutes)
    }

    /// Bytes, or microseconds, of one.
    pub const fn size(self) -> u32 {
        match self {
            Self::Bytes => 1,
            Self::Kilobytes => 1024,
            Self::Pages => 8192,
            Self::Megabytes => 1_048_576,
            Self::Milliseconds => 1000,
            Self::Seconds => 1_000_000,
            Self::Minutes => 60_000_000,
        }
    }

    /// Which suffixes a value may have.
    pub(super) const fn hint(self) -> &'static str {
        if self.is_time() {
            "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"."
        } else {
            "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\"."
        }
    }

    fn suffixes(self) -> &'static [(&'static str, f64)] {
        if self.is_time() { &TIME } else { &MEMORY }
    }

    /// `number` with `suffix` in this unit. A fraction is first rounded to a whole number of the next smaller
    /// suffix, so that `30.1GB` are 30822 MB.
    pub(super) fn convert(self, number: f64, suffix: &str) -> Option<f64> {
        let suffixes = self.suffixes();
        let at = suffixes.iter().position(|(name, _)| *name == suffix)?;
        let size = suffixes[at].1;
        let converted = number * size / f64::from(self.size());
        let Some((_, smaller)) = suffixes.get(at + 1) else { return Some(converted) };
        // Without a fraction in this unit there is nothing to round; huge numbers would lose digits by it.
        if converted == converted.trunc() {
            return Some(converted);
        }
        Some((number * (size / smaller)).round_ties_even() * smaller / f64::from(self.size()))
    }

    /// A positive whole number with the largest suffix that leaves it whole.
    pub(super) fn show_int(self, value: i64) -> (i64, &'static str) {
        let size = i128::from(value) * i128::from(self.size());
        for (name, suffix) in self.suffixes() {
            let suffix = *suffix as i128;
            if size % suffix == 0 {
                return ((size / suffix) as i64, name);
            }
        }
        (value, self.name())
    }

    /// A positive number with the largest suffix that leaves it nearly whole, else with the smallest.
    pub(super) fn show_real(self, value: f64) -> (f64, &'static str) {
        let mut shown = (value, self.name());
        for (name, suffix) in self.suffixes() {
            let converted = value * f64::from(self.size()) / suffix;
            shown = (converted, name);
            if converted > 0.0 && (converted.round_ties_even() / converted - 1.0).abs() <= 1e-8 {
                break;
            }
        }
        shown
    }
}
