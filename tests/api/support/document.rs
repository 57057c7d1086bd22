//! Answers held against openapi.yaml: status, media type, body and headers are what it says.

use std::collections::HashMap;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::Answer;

/// What the document says, with a validator for each body.
struct Document {
    /// By template, in segments.
    paths: Vec<(Vec<String>, HashMap<String, Operation>)>,
    /// The body of a refusal, which what is no operation is answered with too.
    refusal: Validator,
}

/// The answers by status.
type Operation = HashMap<u16, Described>;

struct Described {
    required_headers: Vec<String>,
    body: Option<(String, Validator)>,
}

/// Fails the test if the document knows no such answer.
pub fn check(method: &str, target: &str, answer: &Answer) {
    static DOCUMENT: OnceLock<Document> = OnceLock::new();
    let path = target.split('?').next().unwrap();
    if let Err(told) = DOCUMENT.get_or_init(read).check(method, path, answer) {
        panic!("openapi.yaml does not describe this answer to {method} {path}: {told}\n{answer:?}");
    }
}

impl Document {
    fn check(&self, method: &str, path: &str, answer: &Answer) -> Result<(), String> {
        let status = answer.status.as_u16();
        let Some((_, operations)) = self.paths.iter().find(|(template, _)| fits(path, template)) else {
            let beside = ["/docs", "/openapi.yaml"].iter().any(|page| path.starts_with(page));
            return if beside { Ok(()) } else { self.check_no_operation(404, answer) };
        };
        if method == "OPTIONS" {
            return Ok(()); // a browser's preflight
        }
        // Where HEAD is understood, it is a GET without its body.
        let named = if method == "HEAD" && status != 405 { "get".to_owned() } else { method.to_lowercase() };
        let Some(operation) = operations.get(&named) else {
            return self.check_no_operation(405, answer);
        };
        let described = operation.get(&status).ok_or_else(|| format!("the status {}", answer.status))?;
        if let Some(name) = described.required_headers.iter().find(|name| answer.header(name).is_none()) {
            return Err(format!("the header {name} is missing"));
        }
        match &described.body {
            _ if method == "HEAD" => Ok(()),
            None if answer.bytes.is_empty() => Ok(()),
            None => Err("a body".to_owned()),
            Some((kind, body)) => {
                let given = answer.header("content-type").and_then(|kind| kind.split(';').next()).unwrap_or("none");
                if given != kind {
                    return Err(format!("the media type {given}"));
                }
                body.validate(&answer.body).map_err(|error| format!("{}: {error}", error.instance_path()))
            }
        }
    }

    fn check_no_operation(&self, status: u16, answer: &Answer) -> Result<(), String> {
        if answer.status.as_u16() != status {
            return Err(format!("{} where {status} is the answer to what is no operation", answer.status));
        }
        // A probe that is called wrongly is answered without a body.
        if answer.bytes.is_empty() { Ok(()) } else { self.refusal.validate(&answer.body).map_err(|e| e.to_string()) }
    }
}

fn fits(path: &str, template: &[String]) -> bool {
    let segments: Vec<&str> = path.split('/').collect();
    segments.len() == template.len()
        && segments.iter().zip(template).all(
            |(given, wanted)| {
                if wanted.starts_with('{') { !given.is_empty() } else { given == wanted }
            },
        )
}

fn read() -> Document {
    let whole: Value = yaml_serde::from_str(include_str!("../../../openapi.yaml")).unwrap();
    let described = |response: &Value| {
        let response = match response["$ref"].as_str() {
            Some(named) => whole.pointer(&named[1..]).unwrap(),
            None => response,
        };
        let headers = response["headers"].as_object().into_iter().flatten();
        let required = headers.filter(|(_, header)| header["required"] == true);
        let body = response["content"].as_object().and_then(|content| content.iter().next());
        Described {
            required_headers: required.map(|(name, _)| name.to_lowercase()).collect(),
            body: body.map(|(kind, media)| (kind.clone(), validator(&whole, &media["schema"]))),
        }
    };
    let operation = |operation: &Value| -> Operation {
        let responses = operation["responses"].as_object().unwrap().iter();
        responses.map(|(status, response)| (status.parse().unwrap(), described(response))).collect()
    };
    let paths = whole["paths"].as_object().unwrap().iter().map(|(template, item)| {
        let operations = item.as_object().unwrap().iter();
        let operations = operations.map(|(method, described)| (method.clone(), operation(described)));
        (template.split('/').map(str::to_owned).collect(), operations.collect())
    });
    let refusal = validator(&whole, &json!({ "$ref": "#/components/schemas/CommunicationErrorResponse" }));
    Document { paths: paths.collect(), refusal }
}

/// A schema refers to others by their place in the document, which therefore stand around it.
fn validator(whole: &Value, schema: &Value) -> Validator {
    let schema = json!({ "allOf": [schema], "components": whole["components"] });
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}
