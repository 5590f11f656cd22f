//! Sizes on the command line: `64kB`, `512MB`, `4GB`, in PostgreSQL's units of 1024.

/// Reads a size in bytes; a number needs its unit.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let power = match unit.trim() {
        "kB" => Some(10),
        "MB" => Some(20),
        "GB" => Some(30),
        "TB" => Some(40),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    number
        .zip(power)
        .and_then(|(number, power)| number.checked_mul(1 << power))
        .ok_or_else(|| "a whole number and its unit is wanted, such as 512MB or 4GB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_number_with_its_unit_and_nothing_else() {
        assert_eq!(parse("64kB"), Ok(65_536));
        assert_eq!(parse(" 4 GB "), Ok(4 << 30));
        for bad in ["", "4", "GB", "-4GB", "1.5GB", "4 gigabytes", "99999999999TB"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
