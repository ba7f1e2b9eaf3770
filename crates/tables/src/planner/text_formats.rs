//! `to_char(value, 'YYYY-MM-DD')`: PostgreSQL's patterns as those of strftime, which the engine
//! knows.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
};

/// Patterns and what they become; longer ones before their beginnings.
const PATTERNS: [(&str, &str); 31] = [
    ("FMMonth", "%B"),
    ("FMDay", "%A"),
    ("FMMM", "%-m"),
    ("FMDD", "%-d"),
    ("FMHH24", "%-H"),
    ("FMHH12", "%-I"),
    ("YYYY", "%Y"),
    ("IYYY", "%G"),
    ("YY", "%y"),
    ("Month", "%B"),
    ("Mon", "%b"),
    ("MM", "%m"),
    ("MI", "%M"),
    ("MS", "%3f"),
    ("US", "%6f"),
    ("DDD", "%j"),
    ("DD", "%d"),
    ("Day", "%A"),
    ("Dy", "%a"),
    ("ID", "%u"),
    ("IW", "%V"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("HH", "%I"),
    ("SS", "%S"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("am", "%P"),
    ("pm", "%P"),
    ("TZ", "%Z"),
    ("OF", "%:z"),
];

/// Translates the format of one call if it is a literal without `%`.
pub(super) fn translate(function: &mut Function) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(format)))] =
        list.args.as_mut_slice()
    else {
        return;
    };
    if let Value::SingleQuotedString(text) = &mut format.value
        && !text.contains('%')
    {
        *text = translated(text);
    }
}

/// What is no pattern stands for itself, and so does what stands in double quotes.
fn translated(format: &str) -> String {
    let mut text = String::with_capacity(format.len() * 2);
    let mut rest = format;
    let mut quoted = false;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            quoted = !quoted;
            rest = &rest[1..];
            continue;
        }
        let known = PATTERNS.iter().find(|(from, _)| !quoted && rest.starts_with(from));
        match known {
            Some((from, to)) => {
                text.push_str(to);
                rest = &rest[from.len()..];
            }
            None => {
                text.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_those_of_strftime() {
        let cases = [
            ("YYYY-MM-DD HH24:MI:SS", "%Y-%m-%d %H:%M:%S"),
            ("DD Mon YY, Day", "%d %b %y, %A"),
            ("YYYY\"YYYY\"é", "%YYYYYé"),
            ("HH12:MI AM", "%I:%M %p"),
            ("", ""),
        ];
        for (from, to) in cases {
            assert_eq!(translated(from), to, "{from}");
        }
    }
}
