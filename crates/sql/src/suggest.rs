//! "Did you mean": the known name most like a mistyped one.

/// Longer names are not compared: the distance costs the product of the lengths.
const COMPARED_CHARS_MAX: usize = 64;
/// Known names looked at for one suggestion.
const CANDIDATES_MAX: usize = 10_000;

/// The candidate with the fewest edits to `name`, when that is at most a third of its length
/// (and at least one edit is allowed). Letter case counts nothing.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    if wanted.is_empty() || wanted.len() > COMPARED_CHARS_MAX {
        return None;
    }
    // Of one letter nothing is left to compare.
    let edits_max = if wanted.len() == 1 { 0 } else { (wanted.len() / 3).max(1) };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates.into_iter().take(CANDIDATES_MAX) {
        let chars: Vec<char> = candidate.to_lowercase().chars().collect();
        if chars.len() > COMPARED_CHARS_MAX || chars.len().abs_diff(wanted.len()) > edits_max {
            continue;
        }
        let edits = edit_distance(&wanted, &chars);
        if edits <= edits_max && best.is_none_or(|(least, _)| edits < least) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.to_owned())
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
/// (optimal string alignment).
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut before = vec![0; width];
    let mut previous: Vec<usize> = (0..width).collect();
    for (i, x) in a.iter().enumerate() {
        let mut current = Vec::with_capacity(width);
        current.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = previous[j] + usize::from(x != y);
            let mut least = replaced.min(previous[j + 1] + 1).min(current[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_the_name_meant() {
        let known = ["flights", "weather", "planes", "airports", "airlines"];
        for (typed, meant) in [
            ("flihgts", Some("flights")),
            ("Flight", Some("flights")),
            ("airline", Some("airlines")),
            ("wether", Some("weather")),
            ("customers", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known).as_deref(), meant, "{typed}");
        }
    }
}
