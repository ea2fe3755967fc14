//! The text of a `.properties` file, as `java.util.Properties` reads it.
//!
//! ```text
//!   natural lines ──(join lines that end in an odd number of backslashes)──> logical lines ──> key, separator, value
//! ```
//!
//! A key ends at the first `=`, `:` or white space that is not escaped; `\t \n \r \f \uXXXX` stand for characters, before
//! any other character a backslash is dropped. Files are UTF-8 here (Java reads Latin-1, in which `\uXXXX` is needed).

/// A file that cannot be read as properties.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct PropertiesError {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// A property as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Key.
    pub key: String,
    /// Value; empty if there is none.
    pub value: String,
    /// The line on which it begins, from 1.
    pub line: usize,
}

/// Reads a file's text. Properties come in the order of the file; a key may occur more than once.
///
/// # Errors
/// [`PropertiesError`] for bytes that are not UTF-8 and for `\u` without four hexadecimal digits.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Property>, PropertiesError> {
    let error = |line, what: &str| PropertiesError { file: file.to_owned(), line, what: what.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = bytes.iter().take(e.valid_up_to()).filter(|b| **b == b'\n').count();
        error(before + 1, "the text is not UTF-8")
    })?;
    let mut properties = Vec::new();
    for (line, logical) in logical_lines(text) {
        let (key, value) = split(&logical);
        let unescaped = |part| unescape(part).map_err(|what| error(line, &what));
        properties.push(Property { key: unescaped(key)?, value: unescaped(value)?, line });
    }
    Ok(properties)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Logical lines with the number of their first natural line; comments and empty lines are left out.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    // `\r\n`, `\n` and a lone `\r` end a line.
    for (at, natural) in text.replace("\r\n", "\n").split(['\n', '\r']).enumerate() {
        let content = natural.trim_start_matches(is_blank);
        if open.is_none() && (content.is_empty() || content.starts_with(['#', '!'])) {
            continue;
        }
        let (first, mut joined) = open.take().unwrap_or((at + 1, String::new()));
        let backslashes = content.bytes().rev().take_while(|b| *b == b'\\').count();
        if backslashes % 2 == 1 {
            joined.push_str(content.get(..content.len() - 1).unwrap_or_default());
            open = Some((first, joined));
        } else {
            joined.push_str(content);
            lines.push((first, joined));
        }
    }
    lines.extend(open);
    lines
}

/// Splits a logical line at its separator; both parts are still escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let is_end = |c: char| {
        let end = !escaped && (is_blank(c) || c == '=' || c == ':');
        escaped = c == '\\' && !escaped;
        end
    };
    let Some(at) = line.find(is_end) else { return (line, "") };
    let (key, rest) = line.split_at(at);
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Result<String, String> {
    // Java's `\uXXXX` are UTF-16 units, of which two may make one character.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut buffer = [0; 2];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => '\t',
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('f')) => '\x0c',
            ('\\', Some('u')) => {
                let digits: String = chars.by_ref().take(4).collect();
                let hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| hex);
                units.push(unit.ok_or_else(|| format!("`\\u{digits}` is not `\\u` and four hexadecimal digits"))?);
                continue;
            }
            ('\\', Some(other)) => other,
            ('\\', None) => continue,
            (c, _) => c,
        };
        units.extend_from_slice(plain.encode_utf16(&mut buffer));
    }
    Ok(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse("f", text.as_bytes()).unwrap().into_iter().map(|p| (p.key, p.value)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let all = pairs(text);
        assert_eq!(all.len(), 1, "{text:?}");
        all.into_iter().next().unwrap()
    }

    #[test]
    fn separators_are_javas() {
        for text in ["a=b", "a:b", "a b", "a = b", "  a\t:  b", "a\x0cb"] {
            assert_eq!(one(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one("a"), ("a".into(), String::new()));
        assert_eq!(one("a=="), ("a".into(), "=".into()));
        assert_eq!(one("a b=c"), ("a".into(), "b=c".into()));
        // White space at the end belongs to the value.
        assert_eq!(one("a=b  "), ("a".into(), "b  ".into()));
    }

    #[test]
    fn escapes_are_javas() {
        assert_eq!(one(r"a\=b\:c\ d=e"), ("a=b:c d".into(), "e".into()));
        assert_eq!(one(r"a=x\ty\\z\q"), ("a".into(), "x\ty\\zq".into()));
        assert_eq!(one(r"a=\u00e9\ud83d\ude00é"), ("a".into(), "é😀é".into()));
    }

    #[test]
    fn lines_continue_after_an_odd_number_of_backslashes() {
        assert_eq!(
            pairs("a=1,\\\n    2,\\\r\n\t3\nb=c\\\\\nd=e"),
            [("a".into(), "1,2,3".into()), ("b".into(), "c\\".into()), ("d".into(), "e".into())]
        );
        // A continued line may look like a comment; a comment does not continue.
        assert_eq!(pairs("a=1\\\n#2\n# c \\\nb=3"), [("a".into(), "1#2".into()), ("b".into(), "3".into())]);
        assert_eq!(one("a=b\\"), ("a".into(), "b".into()));
    }

    #[test]
    fn comments_and_empty_lines_are_skipped_and_lines_counted() {
        let all = parse("f", b"# one\n\n  ! two\na=1\n\\\nb=2\n").unwrap();
        let lines: Vec<_> = all.iter().map(|p| (p.key.as_str(), p.line)).collect();
        assert_eq!(lines, [("a", 4), ("b", 5)]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = parse("server.properties", b"a=1\nb=\\u12g4\n").unwrap_err();
        assert_eq!(error.to_string(), r"server.properties:2: `\u12g4` is not `\u` and four hexadecimal digits");
        let error = parse("server.properties", b"a=1\n\nb=\xff\n").unwrap_err();
        assert_eq!(error.to_string(), "server.properties:3: the text is not UTF-8");
    }
}
