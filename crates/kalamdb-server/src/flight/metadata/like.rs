//! LIKE patterns as the metadata commands use them: `%` for any text, `_` for any character, `\`
//! before a character that is meant as itself.

/// True when `text` matches `pattern`; letters match in their own case only.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern = parse(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on when the text after the last `%` does not match: after one more character.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Part::AnyText) => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(part) if part.takes(text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|part| *part == Part::AnyText)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    AnyText,
    AnyCharacter,
    Exactly(char),
}

impl Part {
    fn takes(self, character: char) -> bool {
        match self {
            Self::AnyText => false,
            Self::AnyCharacter => true,
            Self::Exactly(expected) => expected == character,
        }
    }
}

fn parse(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        parts.push(match character {
            '%' => Part::AnyText,
            '_' => Part::AnyCharacter,
            // A lone escape at the end means itself.
            '\\' => Part::Exactly(characters.next().unwrap_or('\\')),
            other => Part::Exactly(other),
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_sql() {
        let matching = [
            ("", ""),
            ("%", ""),
            ("%", "anything"),
            ("a%c", "abbbc"),
            ("a_c", "aéc"),
            ("%b%", "abc"),
            ("my\\_table", "my_table"),
            ("100\\%", "100%"),
            ("a\\", "a\\"),
            ("%aab", "aaaab"),
        ];
        for (pattern, text) in matching {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        let different =
            [("", "a"), ("a", ""), ("A", "a"), ("a_c", "ac"), ("my\\_table", "myXtable")];
        for (pattern, text) in different {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_long_time() {
        let pattern = "%a".repeat(200);
        assert!(!matches(&pattern, &format!("{}b", "a".repeat(2000))));
    }
}
