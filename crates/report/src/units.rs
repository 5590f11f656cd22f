//! Numbers as people say them.

use std::time::Duration;

use reconcile_kinds::RelationSize;

/// A duration: `200 ms`, `2.1 s`, `3 min 5 s`.
pub fn duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        0 if !duration.is_zero() => "under 1 ms".to_owned(),
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => {
            // Upwards: a bound must not be shown smaller than it is.
            let tenths = milliseconds.div_ceil(100);
            match (tenths / 10, tenths % 10) {
                (seconds, 0) => format!("{seconds} s"),
                (seconds, tenth) => format!("{seconds}.{tenth} s"),
            }
        }
        _ => {
            let seconds = milliseconds.div_ceil(1_000);
            let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            match (hours, minutes, seconds) {
                (0, minutes, 0) => format!("{minutes} min"),
                (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
                (hours, 0, _) => format!("{hours} h"),
                (hours, minutes, _) => format!("{hours} h {minutes} min"),
            }
        }
    }
}

/// A number of bytes: `16 kB`, `1.2 GB`, in PostgreSQL's units of 1024.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    #[allow(clippy::cast_precision_loss)]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 || value >= 10.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        let text = format!("{value:.1}");
        format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), UNITS[unit])
    }
}

/// The planner's estimate of a number of rows.
pub fn rows(size: &RelationSize) -> String {
    if size.rows < 0.0 {
        return if size.bytes == 0 { "empty" } else { "rows unknown" }.to_owned();
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let number = size.rows.round() as u64;
    match number {
        0 => "no rows".to_owned(),
        _ => format!("about {}", count(number, "row", "rows")),
    }
}

/// A number with its noun, in groups of three digits from 10,000: `1 row`, `12,345 rows`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digits.len() > 4 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_never_shrink() {
        let ms = |n| duration(Duration::from_millis(n));
        assert_eq!(ms(0), "0 ms");
        assert_eq!(ms(200), "200 ms");
        assert_eq!(ms(1_000), "1 s");
        assert_eq!(ms(2_010), "2.1 s");
        assert_eq!(ms(59_950), "60 s");
        assert_eq!(ms(60_000), "1 min");
        assert_eq!(ms(185_000), "3 min 5 s");
        assert_eq!(ms(7_260_000), "2 h 1 min");
        assert_eq!(duration(Duration::from_micros(3)), "under 1 ms");
    }

    #[test]
    fn sizes_and_counts() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(16_384), "16 kB");
        assert_eq!(bytes(1_610_612_736), "1.5 GB");
        assert_eq!(count(1, "row", "rows"), "1 row");
        assert_eq!(count(9_999, "row", "rows"), "9999 rows");
        assert_eq!(count(1_234_567, "row", "rows"), "1,234,567 rows");
        let size = RelationSize { rows: -1.0, ..RelationSize::default() };
        assert_eq!(rows(&size), "empty");
        assert_eq!(rows(&RelationSize { rows: 96.0, ..size }), "about 96 rows");
    }
}
