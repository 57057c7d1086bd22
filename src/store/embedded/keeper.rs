//! The child that shuts the cluster down when we end, however we end (private-postgres.md, 2.6).

use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::EmbeddedError;
use super::folder::{Folder, Owner};
use super::programs::Programs;

/// Waits until its input ends, which it does when the last process that holds the other side is
/// gone. Descriptor 3 is the keeper's lock, held until the cluster is down. A service manager's
/// signal to the whole group must not end it early. A server that was still starting is asked again.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
exec 3>&1 >/dev/null 2>&1
cat
for attempt in 1 2 3; do
    "$0" stop -D "$1" -w -t 20 -m fast && exit 0
    sleep 0.3
done
"$0" stop -D "$1" -w -t 20 -m immediate
"#;

/// How long a shutdown of the cluster is waited for.
const PATIENCE: Duration = Duration::from_secs(25);

#[derive(Debug)]
pub struct Keeper {
    child: Child,
    line: Option<ChildStdin>,
}

impl Keeper {
    /// Starts the child, before the cluster starts: there is no moment in which nobody would stop it.
    pub fn spawn(folder: &Folder, programs: &Programs, owner: &Owner) -> Result<Self, EmbeddedError> {
        let mut command = programs.sealed("/bin/sh");
        owner.apply(&mut command);
        command.arg("-c").arg(SCRIPT).arg(programs.path("pg_ctl")).arg(folder.data());
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(folder.keeper_lock_for_child()?).stderr(Stdio::null());
        let mut child = command.spawn().map_err(EmbeddedError::io("the keeper"))?;
        let line = child.stdin.take();
        Ok(Self { child, line })
    }

    /// Has the cluster shut down and waits until it is, but not for ever: the keeper goes on without us.
    pub fn stop(&mut self) {
        drop(self.line.take());
        let patience = Instant::now() + PATIENCE;
        while Instant::now() < patience {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                Ok(Some(_)) => return,
                Err(error) => return tracing::warn!(%error, "the private Postgres' keeper can't be waited for"),
            }
        }
        tracing::warn!("the private Postgres does not stop: leaving it to its keeper");
    }
}
