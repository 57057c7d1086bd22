//! The service over a database with so many rooms, both of their own.

use std::path::Path;

use tempfile::TempDir;

use crate::operation::Operation;
use crate::pages::DeepPage;
use crate::postgres::Postgres;
use crate::processes::{Result, Service, open_to_all};
use crate::rooms::Rooms;

/// Ends in the order of its fields: the service, then Postgres, then their folder.
pub struct Setup {
    pub rooms: Rooms,
    pub page: DeepPage,
    /// What the service had resident before it was asked anything, in KiB.
    pub idle: u64,
    pub service: Service,
    _postgres: Postgres,
    _folder: TempDir,
}

impl Setup {
    pub async fn start(count: i64) -> Result<Self> {
        let folder = folder()?;
        let postgres = Postgres::start(folder.path())?;
        let service = Service::start(folder.path(), Some(&postgres.url), &[])?;
        let rooms = Rooms::fill(&postgres.url, count).await?;
        let idle = service.memory_kib("VmRSS")?;
        let page = DeepPage::find(&service).await?;
        Ok(Self { rooms, page, idle, service, _postgres: postgres, _folder: folder })
    }

    /// Makes things alike before a run. If it is to delete rooms, there are so many for it: the first is given.
    pub async fn prepare(&mut self, operation: Operation, count: usize) -> Result<i64> {
        self.rooms.alone().await?;
        if operation.writes() {
            self.rooms.restore().await?;
        }
        if operation == Operation::Delete { self.rooms.doom(i64::try_from(count)?).await } else { Ok(0) }
    }
}

/// A folder that the user of the private Postgres may pass, gone when it is dropped.
pub fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("rkbench").tempdir_in(Path::new("/tmp"))?;
    open_to_all(folder.path())?;
    Ok(folder)
}
