//! HTTPS: with our own certificate authority, and with a certificate that was given.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use rstest::rstest;

use crate::service::{DataDir, Service, command, complaint, run};

/// curl's exit code and what it printed, for a health check that trusts one CA alone.
fn curl(url: &str, ca: &Path) -> (Option<i32>, String) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--cacert"]).arg(ca).arg(format!("{url}/health/live"));
    let output = curl.output().expect("curl is installed by script/test");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_certificate_is_for_every_name_of_this_machine_and_its_ca_stays() {
    let data_dir = DataDir::new();
    let start = || Service::spawn(command(data_dir.path(), &["--tls-listen", "127.0.0.1:0"]));
    let service = start();
    let endpoint = data_dir.endpoint().unwrap();
    let ca = Path::new(endpoint["caFile"].as_str().unwrap()).to_owned();
    let kept = fs::read(&ca).unwrap();
    let https = endpoint["https"].as_str().unwrap();
    let port = https.rsplit_once(':').unwrap().1;

    for url in [https.to_owned(), format!("https://localhost:{port}")] {
        assert_eq!(curl(&url, &ca), (Some(0), r#"{"status":"live"}"#.to_owned()), "{url}");
    }
    let connection_string = format!("endpoint={https}/;accesskey={}", endpoint["accessKey"].as_str().unwrap());
    assert_eq!(endpoint["connectionString"], connection_string);
    assert_eq!(fs::metadata(data_dir.join("tls/ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
    service.stop();

    let again = start();
    assert_eq!(fs::read(&ca).unwrap(), kept);
    let https = data_dir.endpoint().unwrap()["https"].as_str().unwrap().to_owned();
    assert_eq!(curl(&https, &ca).0, Some(0));
    again.stop();
}

#[test]
fn it_also_serves_ip_v6() {
    let data_dir = DataDir::new();
    let service = Service::spawn(command(data_dir.path(), &["--tls-listen", "[::1]:0"]));
    let endpoint = data_dir.endpoint().unwrap();

    let answer = curl(endpoint["https"].as_str().unwrap(), Path::new(endpoint["caFile"].as_str().unwrap()));

    assert_eq!(answer.0, Some(0));
    service.stop();
}

#[test]
fn a_certificate_that_was_given_is_served() {
    let data_dir = DataDir::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (cert_file, key_file) = (data_dir.join("cert.pem"), data_dir.join("key.pem"));
    fs::write(&cert_file, cert.pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let mut command = command(data_dir.path(), &["--tls-listen", "127.0.0.1:0"]);
    command.arg("--tls-cert").arg(&cert_file).arg("--tls-key").arg(&key_file);

    let service = Service::spawn(command);

    let endpoint = data_dir.endpoint().unwrap();
    assert_eq!(endpoint["caFile"], serde_json::Value::Null);
    let port = endpoint["https"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(curl(&format!("https://localhost:{port}"), &cert_file).0, Some(0));
    assert!(!data_dir.join("tls").exists());
    service.stop();
}

#[rstest]
#[case::an_empty_certificate("", "holds no certificate")]
#[case::no_certificate("nonsense", "holds no certificate")]
fn a_certificate_that_is_none_is_refused(#[case] cert: &str, #[case] told: &str) {
    let data_dir = DataDir::new();
    let (cert_file, key_file) = (data_dir.join("cert.pem"), data_dir.join("key.pem"));
    fs::write(&cert_file, cert).unwrap();
    fs::write(&key_file, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let mut command = command(data_dir.path(), &["--tls-listen", "127.0.0.1:0"]);
    command.arg("--tls-cert").arg(&cert_file).arg("--tls-key").arg(&key_file);

    let ended = run(command);

    assert_eq!(ended.status.code(), Some(2));
    assert!(complaint(&ended).contains(told), "{ended:?}");
}

#[test]
fn a_ca_that_was_damaged_says_how_to_get_another() {
    let data_dir = DataDir::new();
    Service::spawn(command(data_dir.path(), &["--tls-listen", "127.0.0.1:0"])).stop();
    fs::write(data_dir.join("tls/ca.key"), "nonsense").unwrap();

    let ended = run(command(data_dir.path(), &["--tls-listen", "127.0.0.1:0"]));

    assert_eq!(ended.status.code(), Some(1));
    assert!(complaint(&ended).contains("remove the folder and a new one is made"), "{ended:?}");
}

#[test]
fn a_process_that_was_killed_while_it_made_the_ca_leaves_no_key_for_others_to_read() {
    let data_dir = DataDir::new();
    fs::create_dir(data_dir.join("tls")).unwrap();
    for left in ["ca.key.partial", "ca.pem.partial"] {
        fs::write(data_dir.join("tls").join(left), "").unwrap();
        fs::set_permissions(data_dir.join("tls").join(left), fs::Permissions::from_mode(0o644)).unwrap();
    }

    let service = Service::spawn(command(data_dir.path(), &["--tls-listen", "127.0.0.1:0"]));

    assert_eq!(fs::metadata(data_dir.join("tls/ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
    service.stop();
}

/// What curl is answered by the service of this machine when it calls it by another name.
fn ask_as(data_dir: &DataDir, name: &str, protocol: &str, path: &str) -> String {
    let https = data_dir.endpoint().unwrap()["https"].as_str().unwrap().to_owned();
    let port = https.rsplit_once(':').unwrap().1.to_owned();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--insecure", "--write-out", " %{http_version} %{http_code}", protocol]);
    curl.args(["--resolve", &format!("{name}:{port}:127.0.0.1"), &format!("https://{name}:{port}{path}")]);
    String::from_utf8(curl.output().expect("curl is installed by script/test").stdout).unwrap()
}

#[rstest]
#[case::who_asks_for_http_1("--http1.1")]
#[case::who_offers_http_2("--http2")]
fn with_the_development_key_https_too_answers_to_names_of_this_machine_alone(#[case] protocol: &str) {
    let data_dir = DataDir::new();
    let mut command = command(data_dir.path(), &["--tls-listen", "127.0.0.1:0"]);
    command.env_remove("ROOMKEEPER_ACCESS_KEY");
    let service = Service::spawn(command);

    let ask = |name, path| ask_as(&data_dir, name, protocol, path);

    assert!(ask("localhost", "/time").ends_with(" 1.1 200"));
    assert!(ask("evil.example", "/health/live").ends_with(" 1.1 200"));
    for path in ["/time", "/rooms?api-version=2025-03-13", "/"] {
        let told = ask("evil.example", path);
        assert!(told.contains("--access-key") && told.ends_with(" 1.1 403"), "{path}: {told}");
    }
    service.stop();
}
