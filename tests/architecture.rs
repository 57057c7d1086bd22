//! Who may import whom (design, section 2): an arrow that points the wrong way fails here.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may import of ours, besides itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &[]),
    ("config", &["this_machine"]),
    ("telemetry", &[]),
    ("this_machine", &[]),
    ("tls", &[]),
    ("endpoint", &[]),
    ("budget", &[]),
    ("net", &["budget"]),
    ("auth", &["domain"]),
    ("store", &["domain"]),
    ("realtime", &["domain", "clock", "budget"]),
    ("service", &["domain", "clock", "store"]),
    ("http", &["net", "domain", "auth", "service", "realtime", "this_machine"]),
    ("acs", &["domain", "auth", "service", "realtime", "http"]),
    ("ably", &["budget", "net", "domain", "auth", "service", "realtime", "http"]),
    ("jobs", &["service", "realtime", "clock", "telemetry"]),
    ("app", &["*"]),
    ("cli", &["*"]),
    ("lib", &["*"]),
    ("main", &["*"]),
];

/// Where a crate, or the environment, may be used: modules or files below `src`.
const KEPT: &[(&str, &[&str])] = &[
    ("sqlx::", &["store", "service/mod.rs"]),
    ("actix_web", &["http", "acs", "ably", "app"]),
    ("actix_cors", &["ably", "app"]),
    ("std::env", &["config.rs", "main.rs"]),
    ("Utc::now", &["clock.rs"]),
];

#[test]
fn every_import_points_the_way_it_may() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let module = module_of(&file);
        let (_, allowed) = ARROWS.iter().find(|(name, _)| *name == module).unwrap_or_else(|| {
            panic!("{}: a module that the house does not know", file.display());
        });
        for import in imports(&text) {
            if import != module && !allowed.contains(&import.as_str()) && !allowed.contains(&"*") {
                wrong.push(format!("{} imports {import}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn crates_and_the_environment_are_used_where_they_belong() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (used, places) in KEPT {
            let is_kept = places.iter().any(|place| file.starts_with(place));
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            // What stands between quotes is no code.
            let mut code = code.map(|line| line.split('"').step_by(2).collect::<String>());
            if !is_kept && code.any(|line| line.contains(used)) {
                wrong.push(format!("{} uses {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `==` ends at the first byte that differs, and the time it took says how many did not.
#[test]
fn signatures_and_secrets_are_compared_in_constant_time() {
    let is_secret = |word: &str| ["mac", "signature", "secret", "hash", "text"].iter().any(|part| word.contains(part));
    let mut wrong = Vec::new();
    for (file, text) in sources().into_iter().filter(|(file, _)| module_of(file) == "auth") {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for compared in [" == ", " != "].iter().filter_map(|sign| line.split_once(sign)) {
                let (left, right) = (compared.0.split_whitespace().next_back(), compared.1.split_whitespace().next());
                if [left, right].into_iter().flatten().any(is_secret) {
                    wrong.push(format!("{}: {}", file.display(), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Expressions by which SQL asks the database for the time.
const DATABASE_TIMES: &[&str] = &[
    "now()",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
    "timeofday",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
];

/// Two clocks in one decision give a wrong answer when they differ.
#[test]
fn sql_asks_the_database_for_the_time_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let store = sources().into_iter().filter(|(file, _)| file.starts_with("store"));
    let migrations = fs::read_dir(root.join("migrations")).unwrap().map(|entry| entry.unwrap().path());
    let migrations = migrations.map(|path| (path.clone(), fs::read_to_string(&path).unwrap()));
    let asks: Vec<PathBuf> = store
        .chain(migrations)
        .filter(|(_, text)| asks_the_database_for_the_time(text))
        .map(|(file, _)| file)
        .collect();
    assert_eq!(asks, [Path::new("store/clock.rs")]);
}

#[test]
fn the_time_is_found_in_sql_however_it_is_written() {
    for sql in ["SELECT NOW()", "select\n now ( )", "DEFAULT Current_Timestamp", "SELECT localtimestamp(3)"] {
        assert!(asks_the_database_for_the_time(sql), "{sql}");
    }
    assert!(!asks_the_database_for_the_time("ctx.clock.now(), Instant::now(), known()"));
}

fn asks_the_database_for_the_time(text: &str) -> bool {
    let text: String = text.to_lowercase().split_whitespace().collect();
    DATABASE_TIMES.iter().any(|time| {
        text.match_indices(time).any(|(at, _)| {
            // `.now()` and `::now()` are Rust, `known()` is another word.
            let before = text[..at].chars().next_back();
            *time != "now()" || before.is_none_or(|c| !".:_".contains(c))
        })
    })
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent: Vec<PathBuf> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(file, _)| file).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn imports_are_read_alone_and_in_groups() {
    let text = "use crate::domain::role::Role;\nuse crate::{telemetry, tls::{self, X}};\nlet x = crate::store::Y;";
    assert_eq!(imports(text), ["domain", "telemetry", "tls", "store"]);
}

/// Every source file below `src`, by its path from there.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(found.len() > 20);
    found
        .into_iter()
        .map(|path| (path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect()
}

fn module_of(file: &Path) -> String {
    let first = file.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The first names of all paths that begin with `crate::`.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push(name(rest)),
            Some(group) => {
                let mut depth = 1;
                let mut start = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 1 => start = true,
                        c if start && c.is_alphabetic() => {
                            found.push(name(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
        }
    }
    found
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
