//! The access keys of a database that several services share, and how they are changed.

use crate::service::{DataDir, Service, command, complaint, postgres, request, run};
use crate::wire::KEY;

const NEW: &str = "bmV3LWtleS1mb3ItdGVzdHMtMDAwMDAwMDAwMDAwMDAwMA==";

/// A service on a database, started with `args` in place of the usual key.
fn service(folder: &DataDir, url: &str, args: &[&str]) -> Service {
    let mut command = command(folder.path(), &[&["--database-url", url], args].concat());
    command.env_remove("ROOMKEEPER_ACCESS_KEY");
    Service::spawn(command)
}

/// The statuses of a call to each service with each key.
async fn statuses(folders: &[&DataDir], keys: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for folder in folders {
        for key in keys {
            statuses.push(request(folder, "GET", "/rooms").key(key).send().await.status.as_u16());
        }
    }
    statuses
}

#[tokio::test]
async fn a_start_with_a_key_that_the_database_does_not_have_is_refused_and_changes_nothing() {
    let (_data, postgres, url) = postgres();
    let [folder, other] = [DataDir::new(), DataDir::new()];
    let running = service(&folder, &url, &["--access-key", KEY]);

    for args in [&["--access-key", NEW][..], &["--access-key", KEY, "--secondary-access-key", NEW], &[]] {
        let mut command = command(other.path(), &[&["--database-url", &url], args].concat());
        command.env_remove("ROOMKEEPER_ACCESS_KEY");
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {ended:?}");
        assert!(complaint(&ended).contains("access-key"), "{ended:?}");
        assert!(!complaint(&ended).contains(NEW), "a key is not told");
    }

    assert_eq!(running.stop().status.code(), Some(0));
    let again = service(&folder, &url, &["--access-key", KEY]);
    assert_eq!(statuses(&[&folder], &[KEY, NEW]).await, [200, 401]);
    again.stop();
    postgres.stop();
}

#[tokio::test]
async fn the_key_is_changed_without_a_failed_call() {
    let (_data, postgres, url) = postgres();
    let [first, second] = [DataDir::new(), DataDir::new()];
    let old = ["--access-key", KEY];
    let running = service(&first, &url, &["--access-key", KEY, "--secondary-access-key", NEW]);
    let other = service(&second, &url, &old);
    assert_eq!(statuses(&[&first, &second], &[KEY, NEW]).await, [200; 4]);

    running.stop();
    let running = service(&first, &url, &["--access-key", NEW, "--replace-access-key"]);
    assert_eq!(statuses(&[&first, &second], &[KEY, NEW]).await, [200; 4], "the keys change places");
    other.stop();
    let other = service(&second, &url, &old);
    assert_eq!(statuses(&[&first, &second], &[KEY, NEW]).await, [200; 4], "one that still has the old key starts");

    for service in [running, other] {
        assert_eq!(service.stop().status.code(), Some(0));
    }
    postgres.stop();
}

#[tokio::test]
async fn the_development_key_is_replaced_without_being_asked_to() {
    let (_data, postgres, url) = postgres();
    let folder = DataDir::new();
    service(&folder, &url, &[]).stop();

    let running = service(&folder, &url, &["--access-key", NEW]);

    assert_eq!(statuses(&[&folder], &[NEW]).await, [200]);
    running.stop();
    postgres.stop();
}
