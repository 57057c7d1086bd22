//! What it can't be started with: exit code 2, one line that says what to do, and nothing made.

use std::fs;

use roomkeeper::config::DEVELOPMENT_KEY;
use rstest::rstest;

use crate::service::{DataDir, Service, command, complaint, request, run};
use crate::wire::KEY;

#[rstest]
#[case::an_unknown_flag(&["--lisen", "127.0.0.1:0"], "unexpected argument '--lisen' found")]
#[case::an_unknown_command(&["serv"], "serv")]
#[case::no_address(&["--listen", "8080"], "invalid value '8080' for '--listen <ADDRESS>'")]
#[case::no_tls_address(&["--tls-listen", "on"], "write an address and a port, such as 127.0.0.1:8080, or off")]
#[case::no_duration(&["--clock-skew", "fifteen"], "write a duration such as 1500ms, 60s or 7d, or off")]
#[case::too_long_a_duration(&["--clock-skew", "1000years"], "at most 100 years")]
#[case::a_grace_of_off(&["--sweep-grace", "off"], "write a duration such as 1500ms, 60s or 7d")]
#[case::too_often(&["--sweep-interval", "1ms"], "at least 100ms, or off")]
#[case::no_participants(&["--max-participants", "0"], "0 is not in 1..=10000")]
#[case::a_certificate_without_its_key(&["--tls-cert", "x.pem"], "--tls-key")]
#[case::a_certificate_that_is_not_there(&["--tls-listen", "127.0.0.1:0", "--tls-cert", "/nix.pem", "--tls-key", "/nix.key"], "/nix.pem")]
#[case::no_key(&["--access-key", "not base64!"], "--access-key: a key is base64 of at least 16 bytes, such as")]
#[case::a_short_key(&["--access-key", "bXlzZWNyZXQ="], "--access-key: a key is base64 of at least 16 bytes, such as")]
#[case::an_empty_key(&["--access-key", ""], "--access-key")]
#[case::no_database_url(&["--database-url", "mysql://user:s3cret@host/db"], "--database-url: not a Postgres URL")]
#[case::no_filter(&["--log", "info=what=ever"], "--log info=what=ever")]
#[case::no_form(&["--log-format", "xml"], "invalid value 'xml' for '--log-format <FORM>'")]
#[case::no_origin(&["--cors-origin", "app.example"], "write an origin such as https://app.example, or *")]
#[case::an_origin_with_a_blank(&["--cors-origin", "https://a b"], "write an origin such as https://app.example, or *")]
#[case::an_origin_with_a_path(&["--cors-origin", "https://app.example/"], "write an origin such as https://app.example, or *")]
#[case::a_page_without_its_packages(&["--demo", "/nix"], "--demo: /nix/node_modules/ably/build/ably.min.js: No such file or directory (os error 2): fetch the packages with: npm ci --prefix /nix")]
#[case::no_authority(&["--public-host", "https://rooms.example"], "write HOST, HOST:PORT or HOST:PORT/PREFIX")]
fn a_setting_that_can_not_be_is_refused(#[case] args: &[&str], #[case] told: &str) {
    let data_dir = DataDir::new();

    let ended = run(command(data_dir.path(), args));

    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(complaint(&ended).starts_with("roomkeeper: ") && complaint(&ended).contains(told), "{ended:?}");
    assert!(!ended.stderr.contains("s3cret"));
    assert_eq!(ended.stdout, "");
    assert!(!data_dir.join("postgres").exists());
}

#[rstest]
#[case::http(&["--listen", "0.0.0.0:0"])]
#[case::https(&["--tls-listen", "[::]:0"])]
#[case::behind_a_proxy(&["--public-host", "rooms.example"])]
#[case::behind_a_proxy_among_others(&["--public-host", "localhost:8080,rooms.example:443/acs"])]
fn the_development_key_is_for_this_machine_alone(#[case] args: &[&str]) {
    let data_dir = DataDir::new();
    let mut command = command(data_dir.path(), args);
    command.env_remove("ROOMKEEPER_ACCESS_KEY");

    let ended = run(command);

    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(
        complaint(&ended),
        "roomkeeper: the development key is for this machine alone: set --access-key, or listen on 127.0.0.1 without a \
         --public-host of another name"
    );
}

#[rstest]
#[case::as_it_stands_in_the_readme(DEVELOPMENT_KEY.to_owned())]
#[case::without_padding(DEVELOPMENT_KEY.trim_end_matches('=').to_owned())]
#[case::half_padded(DEVELOPMENT_KEY.strip_suffix('=').unwrap().to_owned())]
#[case::behind_a_connection_string(format!("{DEVELOPMENT_KEY};"))]
#[case::with_blanks(format!(" {DEVELOPMENT_KEY} ; ;\n"))]
#[case::with_other_last_bits(DEVELOPMENT_KEY.replace("LQ==", "LR=="))]
fn the_development_key_is_refused_in_every_spelling(#[case] key: String) {
    let data_dir = DataDir::new();

    let ended = run(command(data_dir.path(), &["--listen", "0.0.0.0:0", "--access-key", &key]));

    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(complaint(&ended).starts_with("roomkeeper: the development key is for this machine alone"), "{ended:?}");
    assert!(!data_dir.join("postgres").exists());
}

#[rstest]
#[case::behind_a_connection_string(format!("{KEY};"), KEY)]
#[case::with_blanks(format!(" {KEY} ;"), KEY)]
#[case::without_padding(KEY.trim_end_matches('=').to_owned(), KEY.trim_end_matches('='))]
#[tokio::test]
async fn a_key_is_good_as_clients_of_live_rooms_write_it(#[case] given: String, #[case] written: &str) {
    let data_dir = DataDir::new();
    let service = Service::spawn(command(data_dir.path(), &["--access-key", &given]));

    let told = data_dir.endpoint().unwrap();
    let path = format!("/channels/lobby?key=dev.primary:{}", written.replace('=', "%3D"));
    let answer = request(&data_dir, "GET", &path).unsigned().send().await;

    assert_eq!(told["ablyKey"], format!("dev.primary:{written}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!service.stop().stdout.contains(written), "a key that is a secret is not shown");
}

#[test]
fn the_development_key_is_shown_in_every_spelling() {
    let data_dir = DataDir::new();
    let key = DEVELOPMENT_KEY.trim_end_matches('=');

    let ended = Service::spawn(command(data_dir.path(), &["--access-key", key])).stop();

    assert!(ended.stdout.contains(&format!(";accesskey={key}\n")), "{ended:?}");
}

#[test]
fn the_packages_of_the_page_are_looked_for_where_they_are_fetched_to() {
    let data_dir = DataDir::new();
    let mut command = command(data_dir.path(), &["--demo"]);
    command.current_dir(data_dir.path());

    let ended = run(command);

    assert_eq!(ended.status.code(), Some(2));
    assert!(complaint(&ended).ends_with("fetch the packages with: npm ci --prefix examples/demo"), "{ended:?}");
}

/// Files that stand for the packages of the page.
fn put_packages_into(data_dir: &DataDir) {
    for build in ["ably/build/ably.min.js", "@ably/chat/dist/chat/ably-chat.umd.cjs"] {
        let file = data_dir.join("node_modules").join(build);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
}

#[rstest]
#[case::http(&["--listen", "0.0.0.0:0"])]
#[case::https(&["--tls-listen", "[::]:0"])]
#[case::behind_a_proxy(&["--public-host", "rooms.example"])]
fn a_page_that_others_than_this_machine_reach_is_asked_for_twice(#[case] args: &[&str]) {
    let data_dir = DataDir::new();
    put_packages_into(&data_dir);
    let folder = data_dir.path().to_str().unwrap();

    let once = run(command(data_dir.path(), &[args, &["--demo", folder]].concat()));

    assert_eq!(once.status.code(), Some(2), "{once:?}");
    assert!(complaint(&once).starts_with("roomkeeper: --demo gives a token to anybody who reaches it"), "{once:?}");
    assert!(complaint(&once).contains("--demo-for-anyone"), "{once:?}");
    assert!(!data_dir.join("postgres").exists());

    let mut twice = command(data_dir.path(), &[args, &["--demo", folder]].concat());
    twice.env("ROOMKEEPER_DEMO_FOR_ANYONE", "1");
    let ended = Service::spawn(twice).stop();
    assert_eq!(ended.status.code(), Some(0));
    let warning = "--demo gives a token to anybody who reaches it, and others than this machine can";
    assert!(ended.stderr.contains(warning), "{ended:?}");
}

#[test]
fn a_page_for_this_machine_is_asked_for_once() {
    let data_dir = DataDir::new();
    put_packages_into(&data_dir);

    let ended = Service::spawn(command(data_dir.path(), &["--demo", data_dir.path().to_str().unwrap()])).stop();

    assert_eq!(ended.status.code(), Some(0));
    assert!(!ended.stderr.contains("--demo"), "{ended:?}");
}

#[tokio::test]
async fn a_page_for_anyone_is_answered_by_any_name() {
    let data_dir = DataDir::new();
    put_packages_into(&data_dir);
    let folder = data_dir.path().to_str().unwrap();
    let service = Service::spawn(command(data_dir.path(), &["--demo", folder, "--demo-for-anyone"]));

    let token = request(&data_dir, "GET", "/demo/token?name=ann").unsigned().host("rooms.example").send().await;

    assert_eq!(token.status, 200, "{token:?}");
    service.stop();
}

#[test]
fn the_environment_is_checked_like_the_flags() {
    let data_dir = DataDir::new();
    let mut command = command(data_dir.path(), &[]);
    command.env("ROOMKEEPER_CLOCK_SKEW", "fifteen");

    assert_eq!(run(command).status.code(), Some(2));
}

#[test]
fn help_names_every_setting_and_shows_no_secret() {
    let data_dir = DataDir::new();

    let ended = run(command(data_dir.path(), &["--help"]));

    assert_eq!(ended.status.code(), Some(0));
    for name in [
        "LISTEN",
        "TLS_LISTEN",
        "TLS_CERT",
        "TLS_KEY",
        "DATABASE_URL",
        "DATA_DIR",
        "ACCESS_KEY",
        "CLOCK_SKEW",
        "SWEEP_INTERVAL",
        "SWEEP_GRACE",
        "MAX_PARTICIPANTS",
        "EXPLAIN_AUTH",
        "PUBLIC_HOST",
        "CORS_ORIGIN",
        "DEMO",
        "DEMO_FOR_ANYONE",
        "LOG",
        "LOG_FORMAT",
    ] {
        assert!(ended.stdout.contains(&format!("[env: ROOMKEEPER_{name}")), "{name}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains(KEY));
}
