//! Durations on the command line: `200ms`, `5s`, `2m`, `1h`.

use std::time::Duration;

/// Reads a duration; a number needs its unit.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim() {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" | "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .map(Duration::from_millis)
        .ok_or_else(|| "a whole number and its unit is wanted, such as 200ms, 5s or 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_number_with_its_unit_and_nothing_else() {
        assert_eq!(parse("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse(" 1 h "), Ok(Duration::from_secs(3_600)));
        for bad in [
            "",
            "5",
            "s",
            "-5s",
            "1.5s",
            "5 parsecs",
            "99999999999999999999s",
            "9999999999999999999h",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
