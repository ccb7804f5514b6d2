//! JSON as the original's Jackson prints it: two blanks for each level, blanks around the colon, arrays on one line as far
//! as their elements are, doubles as Java writes them.

use super::java_text::double;
use super::json::Fields;
use serde_json::Value;

/// The text of a document, without a newline at its end.
pub fn document(fields: &Fields) -> String {
    let mut out = String::new();
    put_object(fields, 0, &mut out);
    out
}

fn put(value: &Value, level: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(real) => out.push_str(&double(real)),
            None => out.push_str(&number.to_string()),
        },
        Value::String(text) => put_text(text, out),
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                out.push_str(if at == 0 { " " } else { ", " });
                put(value, level, out);
            }
            out.push_str(" ]");
        }
        Value::Object(fields) => put_object(fields, level, out),
    }
}

fn put_object(fields: &Fields, level: usize, out: &mut String) {
    if fields.is_empty() {
        return out.push_str("{ }");
    }
    out.push('{');
    for (at, (name, value)) in fields.iter().enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        indent(level + 1, out);
        put_text(name, out);
        out.push_str(" : ");
        put(value, level + 1, out);
    }
    out.push('\n');
    indent(level, out);
    out.push('}');
}

fn indent(level: usize, out: &mut String) {
    (0..level).for_each(|_| out.push_str("  "));
}

fn put_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(fields) => fields,
            _ => panic!("not an object"),
        }
    }

    /// As Jackson 2.18 printed them.
    #[test]
    fn forms() {
        let value = json!({
            "empty" : {}, "none" : [], "list" : [1, -1], "objects" : [{"a": 1}, {"b": [ {"c": null} ]}],
            "real" : 123456789.0, "small": 0.0, "text" : "a\"\\\n\t\u{1f}/é\u{7f}", "yes" : true,
        });
        let expected = "{\n  \"empty\" : { },\n  \"none\" : [ ],\n  \"list\" : [ 1, -1 ],\n  \"objects\" : [ {\n    \"a\" : 1\n  }, {\n    \
             \"b\" : [ {\n      \"c\" : null\n    } ]\n  } ],\n  \"real\" : 1.23456789E8,\n  \"small\" : 0.0,\n  \
             \"text\" : \"a\\\"\\\\\\n\\t\\u001F/é\u{7f}\",\n  \"yes\" : true\n}";
        assert_eq!(document(&fields(value)), expected);
    }
}
