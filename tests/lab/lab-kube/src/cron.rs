//! Schedules of cron jobs.

use time::{Duration, OffsetDateTime};

/// Short forms of schedules.
const NAMED: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

const MONTHS: &str = "jan feb mar apr may jun jul aug sep oct nov dec";
const DAYS: &str = "sun mon tue wed thu fri sat";

/// When something is due: minutes, hours, days of the month, months, days of the week, each as bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    fields: [u64; 5],
    /// Whether days of the month, and of the week, are limited.
    limited: [bool; 2],
}

fn number(text: &str, names: &str, first: u64) -> Option<u64> {
    let place = names.split(' ').position(|name| !name.is_empty() && text.eq_ignore_ascii_case(name));
    match place {
        Some(place) => Some(first + u64::try_from(place).ok()?),
        None => text.parse().ok(),
    }
}

/// The bits of a field such as `1-5,30/10`.
fn field(text: &str, (low, high): (u64, u64), names: &str) -> Option<u64> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*" | "?", _) => (low, high),
            (_, Some((from, to))) => (number(from, names, low)?, number(to, names, low)?),
            (one, None) if part.contains('/') => (number(one, names, low)?, high),
            (one, None) => (number(one, names, low)?, number(one, names, low)?),
        };
        if from < low || to > high || from > to {
            return None;
        }
        for value in (from..=to).step_by(step) {
            bits |= 1 << value;
        }
    }
    Some(bits)
}

impl Schedule {
    /// Reads a schedule of five fields, or a short form.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = NAMED.iter().find(|(name, _)| *name == text).map_or(text, |(_, full)| full);
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts.as_slice() else { return None };
        let week = field(weekday, (0, 7), DAYS)?;
        // Sunday is the first and the last day.
        let week = week | week >> 7 & 1;
        let fields = [
            field(minute, (0, 59), "")?,
            field(hour, (0, 23), "")?,
            field(day, (1, 31), "")?,
            field(month, (1, 12), MONTHS)?,
            week,
        ];
        let limited = |text: &str| !text.starts_with(['*', '?']);
        Some(Self { fields, limited: [limited(day), limited(weekday)] })
    }

    fn is_due(&self, at: OffsetDateTime) -> bool {
        let values = [at.minute(), at.hour(), at.day(), u8::from(at.month()), at.weekday().number_days_from_sunday()];
        let hits: Vec<bool> = self.fields.iter().zip(values).map(|(bits, value)| bits >> value & 1 == 1).collect();
        let day = match self.limited {
            [true, true] => hits[2] || hits[4],
            _ => hits[2] && hits[4],
        };
        hits[0] && hits[1] && day && hits[3]
    }

    /// The last time at which it was due, after a time and not after now; what is longer ago than a day is missed.
    pub(super) fn last(&self, after: OffsetDateTime, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let minute = now
            - Duration::seconds(now.unix_timestamp().rem_euclid(60))
            - Duration::nanoseconds(now.nanosecond().into());
        let times = (0..1440).map(|back| minute - Duration::minutes(back)).take_while(|time| *time > after);
        times.into_iter().find(|time| self.is_due(*time))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_last_time_is_found_and_what_is_no_schedule_is_refused() {
        let (after, now) = (datetime!(2026-01-02 03:00:00 UTC), datetime!(2026-01-02 03:17:30 UTC));
        let last = |text: &str| Schedule::new(text).unwrap().last(after, now);
        assert_eq!(last("*/5 * * * *"), Some(datetime!(2026-01-02 03:15:00 UTC)));
        assert_eq!(last("* * * jan fri"), Some(datetime!(2026-01-02 03:17:00 UTC)));
        assert_eq!(last("3-9/3,16 * 1 * 5"), Some(datetime!(2026-01-02 03:16:00 UTC)));
        assert_eq!(last("0 3 * * *"), None);
        assert_eq!(last("@yearly"), None);
        for wrong in ["", "* * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "x * * * *"] {
            assert_eq!(Schedule::new(wrong), None, "{wrong}");
        }
    }
}
