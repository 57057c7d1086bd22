//! The folder of a private cluster: whose it is, who may use it, and what runs in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use nix::unistd::{Gid, Uid, User};

use super::EmbeddedError;

/// The user that runs the cluster: Postgres refuses to run as root.
#[derive(Debug, Clone)]
pub struct Owner {
    user: String,
    uid: u32,
    gid: u32,
    /// False: it is who we are.
    other: bool,
}

impl Owner {
    /// Us; for root, `postgres`. Programs that were named may have come without that user: then the
    /// folder's owner, else `nobody`.
    pub fn choose(folder: &Path, programs_named: bool) -> Result<Self, EmbeddedError> {
        let uid = Uid::effective();
        if !uid.is_root() {
            return Ok(Self { user: uid.to_string(), uid: uid.as_raw(), gid: Gid::effective().as_raw(), other: false });
        }
        let named = |name| User::from_name(name).ok().flatten();
        let owner = || {
            let uid = fs::metadata(folder).ok()?.uid();
            User::from_uid(Uid::from_raw(uid)).ok().flatten().filter(|user| !user.uid.is_root())
        };
        let user = named("postgres")
            .or_else(|| if programs_named { owner().or_else(|| named("nobody")) } else { None })
            .ok_or(EmbeddedError::NoUser)?;
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), user: user.name, other: true })
    }

    /// Has a command run as this user.
    pub fn apply(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt as _;
        if self.other {
            command.uid(self.uid).gid(self.gid);
        }
    }

    fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.other {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(EmbeddedError::io(path.display().to_string()))
    }

    fn can_enter(&self, folder: &fs::Metadata) -> bool {
        let mode = folder.permissions().mode();
        let bit = match folder {
            f if f.uid() == self.uid => 0o100,
            f if f.gid() == self.gid => 0o010,
            _ => 0o001,
        };
        mode & bit != 0
    }
}

/// A cluster's folder while it is ours: the locks in it are held as long as this lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _claim: File,
    keeper_lock: File,
}

/// A socket's path has at most so many bytes.
const SOCKET_PATH_MAX: usize = 107;
/// How long a cluster may take to stop before a new start gives up on it.
const STOPPING: Duration = Duration::from_secs(10);

impl Folder {
    /// Makes the folder if need be, checks that the owner can work in it, and locks out a second
    /// instance. Waits for a keeper that is still stopping the cluster of an instance that died.
    pub fn claim(path: &Path, owner: &Owner) -> Result<Self, EmbeddedError> {
        let path = std::path::absolute(path).map_err(EmbeddedError::io(path.display().to_string()))?;
        let socket = socket_in(&path.join("run"));
        if socket.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(EmbeddedError::SocketPathTooLong { path: socket, max: SOCKET_PATH_MAX });
        }
        if path.as_os_str().as_encoded_bytes().contains(&b',') {
            return Err(EmbeddedError::SocketPathParts(socket));
        }
        make_private(&path, owner)?;
        for parent in path.ancestors().skip(1) {
            let meta = fs::metadata(parent).map_err(EmbeddedError::io(parent.display().to_string()))?;
            if !owner.can_enter(&meta) {
                return Err(EmbeddedError::NotEnterable { parent: parent.to_owned(), user: owner.user.clone() });
            }
        }
        let claim = open_lock(&path.join("lock"))?;
        match claim.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(EmbeddedError::InUse(path)),
            Err(TryLockError::Error(e)) => return Err(EmbeddedError::io("lock")(e)),
        }
        let keeper_lock = open_lock(&path.join("keeper.lock"))?;
        let patience = Instant::now() + STOPPING;
        while let Err(refused) = keeper_lock.try_lock() {
            match refused {
                TryLockError::Error(e) => return Err(EmbeddedError::io("keeper.lock")(e)),
                TryLockError::WouldBlock if Instant::now() > patience => {
                    return Err(EmbeddedError::StillStopping(path));
                }
                TryLockError::WouldBlock => thread::sleep(Duration::from_millis(20)),
            }
        }
        let folder = Self { path, _claim: claim, keeper_lock };
        make_private(&folder.run(), owner)?;
        Ok(folder)
    }

    /// The cluster.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The cluster while it is made.
    pub fn partial(&self) -> PathBuf {
        self.path.join("data.partial")
    }

    /// The folder of the socket.
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.run())
    }

    /// What the server logs.
    pub fn log(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    /// The major version that made the cluster, if there is one.
    pub fn made_by(&self) -> Result<Option<String>, EmbeddedError> {
        let version = self.data().join("PG_VERSION");
        match fs::read_to_string(&version) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !self.data().exists() => Ok(None),
            Err(e) => Err(EmbeddedError::io(version.display().to_string())(e)),
        }
    }

    /// The keeper's lock as a child's standard stream: it is held until the child, too, has ended.
    pub fn keeper_lock_for_child(&self) -> Result<Stdio, EmbeddedError> {
        self.keeper_lock.try_clone().map(Stdio::from).map_err(EmbeddedError::io("keeper.lock"))
    }

    /// True if a server runs on the cluster. Otherwise waits until what an earlier one left behind
    /// is gone, and removes a pid file whose pid now belongs to somebody else, which Postgres would
    /// believe. Safe, as we hold the locks and nobody has the folder as its own.
    pub fn settle(&self) -> Result<bool, EmbeddedError> {
        let pid_file = self.data().join("postmaster.pid");
        let patience = Instant::now() + STOPPING;
        loop {
            let residents = residents(&self.data());
            let postmaster =
                fs::read_to_string(&pid_file).ok().and_then(|text| text.lines().next()?.trim().parse::<u32>().ok());
            match postmaster {
                Some(pid) if residents.contains(&pid) => return Ok(true),
                _ if !residents.is_empty() => {
                    if Instant::now() > patience {
                        return Err(EmbeddedError::StillStopping(self.path.clone()));
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                Some(_) => {
                    return fs::remove_file(&pid_file)
                        .map(|()| false)
                        .map_err(EmbeddedError::io(pid_file.display().to_string()));
                }
                None => return Ok(false),
            }
        }
    }
}

/// The socket in a folder of sockets.
pub fn socket_in(run: &Path) -> PathBuf {
    run.join(".s.PGSQL.5432")
}

/// The processes that work in a folder: a postmaster and its children work in their cluster.
fn residents(folder: &Path) -> Vec<u32> {
    let Ok(folder) = fs::canonicalize(folder) else { return Vec::new() };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == folder))
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .collect()
}

fn make_private(folder: &Path, owner: &Owner) -> Result<(), EmbeddedError> {
    let told = || EmbeddedError::io(folder.display().to_string());
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(told())?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(told()(e)),
        _ => {}
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(told())?;
    owner.own(folder)
}

fn open_lock(path: &Path) -> Result<File, EmbeddedError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(EmbeddedError::io(path.display().to_string()))
}
