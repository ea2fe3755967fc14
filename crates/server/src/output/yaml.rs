//! Data as YAML: block style, strings quoted where YAML would read them as something else.

use serde_json::Value;

/// A whole document.
pub(super) fn to_string(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Array(list) if !list.is_empty() => items(&mut text, value, 0),
        Value::Object(map) if !map.is_empty() => items(&mut text, value, 0),
        scalar => {
            text.push_str(&inline(scalar));
            text.push('\n');
        }
    }
    text
}

fn items(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Array(list) => {
            for item in list {
                text.push_str(&format!("{indent}-"));
                below(text, item, depth, true);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                text.push_str(&format!("{indent}{}:", string(key)));
                below(text, item, depth, false);
            }
        }
        _ => {}
    }
}

/// What follows `-` or `key:`.
fn below(text: &mut String, value: &Value, depth: usize, in_list: bool) {
    match value {
        Value::Object(map) if in_list && !map.is_empty() => {
            // The first key stands beside the dash, the others under it.
            let mut nested = String::new();
            items(&mut nested, value, depth + 1);
            text.push(' ');
            text.push_str(nested.trim_start());
        }
        Value::Array(list) if !list.is_empty() => {
            text.push('\n');
            items(text, value, depth + 1);
        }
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            items(text, value, depth + 1);
        }
        scalar => text.push_str(&format!(" {}\n", inline(scalar))),
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(s) => string(s),
        other => other.to_string(),
    }
}

/// Plain if YAML cannot take it for anything but this string; else in double quotes, where JSON's escapes hold too.
fn string(s: &str) -> String {
    let plain = s.chars().next().is_some_and(char::is_alphabetic)
        && s.chars().all(|c| c.is_alphanumeric() || "._-/".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&s.to_ascii_lowercase().as_str());
    if plain { s.to_owned() } else { Value::String(s.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::to_string;

    #[test]
    fn data_becomes_blocks_and_ambiguous_strings_are_quoted() {
        let data = json!({
            "name": "orders", "empty": [], "no": "no", "port": 9092, "version": "1.0", "none": null,
            "partitions": [{"id": 0, "isr": [1, 2]}, {"id": 1, "isr": []}],
        });
        let expected = "empty: []\nname: orders\n\"no\": \"no\"\nnone: null\npartitions:\n  - id: 0\n    isr:\n      - 1\n      \
                        - 2\n  - id: 1\n    isr: []\nport: 9092\nversion: \"1.0\"\n";
        assert_eq!(to_string(&data), expected);
        assert_eq!(to_string(&json!([])), "[]\n");
    }
}
