//! What the documents say of the code is what it does, because it is made from it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Arg, CommandFactory as _};
use roomkeeper::config::Cli;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
/// Between these, the README has the table of settings.
const MARKS: [&str; 2] = ["<!-- settings: UPDATE=1 cargo test --test document -->\n", "<!-- end of settings -->\n"];

#[test]
fn the_file_is_what_the_code_describes() {
    let made = roomkeeper::app::document::yaml().unwrap();
    let kept = include_str!("../openapi.yaml");
    assert!(made == kept, "openapi.yaml is out of date: run `cargo run -- openapi > openapi.yaml`");
}

#[test]
fn the_readme_has_every_setting_as_help_tells_it() {
    let readme = fs::read_to_string(README).unwrap();
    let (before, rest) = readme.split_once(MARKS[0]).unwrap();
    let (kept, after) = rest.split_once(MARKS[1]).unwrap();
    let made = settings();

    if is_update() {
        return fs::write(README, [before, MARKS[0], &made, MARKS[1], after].concat()).unwrap();
    }
    assert!(made == kept, "README.md is out of date: run `UPDATE=1 cargo test --test document`");
}

/// Documents whose tables name, in a column `Test`, what shows each row.
const WITH_TESTS: [&str; 2] = ["docs/security.md", "docs/credentials.md"];

#[test]
fn every_test_that_a_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code: String = ["src", "tests"].iter().flat_map(|folder| code_in(&root.join(folder))).collect();
    let is_there = |name: &str| {
        [format!("fn {name}("), format!("case::{name}("), format!("def {name}("), format!("test(\"{name}\"")]
            .iter()
            .any(|test| code.contains(test))
    };
    let mut named = 0;
    for document in WITH_TESTS {
        let Ok(text) = fs::read_to_string(root.join(document)) else { continue };
        for name in tests_named_in(&text) {
            assert!(is_there(name), "{document}: there is no test `{name}`");
            named += 1;
        }
    }
    assert!(named > 150, "{named}");
}

#[test]
fn names_are_read_from_the_column_of_tests_alone() {
    let text =
        "`a`\n\n| Threat | Stopped by | Test |\n|---|---|---|\n| `b` | `c` | `d`, `e f` |\n\n| `g` |\n|---|\n| `h` |\n";

    assert_eq!(tests_named_in(text), ["d", "e f"]);
}

/// What stands in backticks in the columns called `Test`.
fn tests_named_in(text: &str) -> Vec<&str> {
    let mut column = None;
    let mut names = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            column = None;
        } else if let Some(at) = cells.iter().position(|cell| *cell == "Test") {
            column = Some(at);
        } else if let Some(cell) = column.and_then(|at| cells.get(at)) {
            names.extend(cell.split('`').skip(1).step_by(2));
        }
    }
    names
}

/// The texts of the tests and of what is tested, below a folder.
fn code_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            found.extend(code_in(&path));
        } else if path.extension().is_some_and(|ending| ["rs", "js", "py"].iter().any(|code| ending == *code)) {
            found.extend(fs::read_to_string(path));
        }
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "nobody sets this one for the service")]
fn is_update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

fn settings() -> String {
    let mut table = "| Flag | Environment | Default | |\n|---|---|---|---|\n".to_owned();
    for arg in Cli::command().get_arguments().filter(|arg| arg.get_env().is_some()) {
        table.push_str(&row(arg));
    }
    table
}

fn row(arg: &Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let may_be_left_out = arg.get_num_args().is_some_and(|count| count.min_values() == 0);
    let value = |name| if may_be_left_out { format!(" [{name}]") } else { format!(" {name}") };
    let value: String = arg.get_value_names().filter(|_| takes_value).into_iter().flatten().map(value).collect();
    let (help, told) = meaning(arg);
    let default = match (arg.get_default_values().first(), told) {
        _ if !takes_value => "off".to_owned(),
        (Some(default), _) => format!("`{}`", default.display()),
        (None, Some(told)) => told,
        (None, None) => "none".to_owned(),
    };
    let mut row = String::new();
    let (flag, env) = (arg.get_long().unwrap(), arg.get_env().unwrap().display());
    writeln!(row, "| `--{flag}{value}` | `{env}` | {default} | {help} |").unwrap();
    row
}

/// The text of `--help`, and the default in it, if it is one that is found at the start only.
fn meaning(arg: &Arg) -> (String, Option<String>) {
    let possible: Vec<_> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let help = arg.get_help().unwrap().to_string().replace('\n', " ").replace('|', "\\|");
    let (text, default) = match help.split_once(" [default: ") {
        Some((text, default)) => (text, default.strip_suffix(']').map(str::to_owned)),
        None => (help.trim_end_matches('.'), None),
    };
    let choice = if arg.get_action().takes_values() && !possible.is_empty() {
        format!(": {}", possible.join(" or "))
    } else {
        String::new()
    };
    (format!("{text}{choice}"), default)
}
