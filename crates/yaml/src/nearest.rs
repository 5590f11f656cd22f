//! The known word that a misspelt one was probably meant to be.

/// The candidate that is nearest to `word`, if one is near enough to be worth naming.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let length = wanted.chars().count();
    let reach = if length < 3 { length / 2 } else { (length / 3).min(3) };
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_near_and_nothing_else() {
        assert_eq!(nearest("nulable", ["type", "nullable", "default"]), Some("nullable"));
        assert_eq!(nearest("txet", ["text", "xml"]), Some("text"));
        assert_eq!(nearest("Varchr", ["varchar"]), Some("varchar"));
        assert_eq!(nearest("colour", ["type", "nullable"]), None);
    }
}
