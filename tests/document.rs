//! What the documents say of the code is what it does, because it is made from it.

use std::fmt::Write as _;
use std::fs;

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

/// The last column of each table in docs/credentials.md names tests, or cases of one.
#[test]
fn every_test_that_the_tables_of_credentials_name_is_there() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let sources: String = ["src", "tests/api"].iter().flat_map(|folder| sources(format!("{root}{folder}"))).collect();
    let document = fs::read_to_string(format!("{root}docs/credentials.md")).unwrap();
    let columns = document.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|')?.rsplit('|').next());
    let names: Vec<&str> = columns.flat_map(|column| column.split('`').skip(1).step_by(2)).collect();
    let is_there = |name: &str| {
        [format!("fn {name}("), format!("case::{name}(")].iter().any(|written| sources.contains(written.as_str()))
    };
    let missing: Vec<&str> = names.iter().copied().filter(|name| !is_there(name)).collect();

    assert!(names.len() > 100, "{names:?}");
    assert!(missing.is_empty(), "no such test: {missing:?}");
}

/// The text of every source below a folder.
fn sources(folder: String) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path.is_dir() {
        true => sources(path.display().to_string()),
        false => vec![fs::read_to_string(path).unwrap_or_default()],
    };
    entries.flat_map(text).collect()
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
