//! The database that a command works on: the one that was named, or a private one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ConfigError, DatabaseArgs, program_environment, program_path};
use crate::store::embedded::{self, Cluster, EmbeddedError};
use crate::store::pool;
use crate::store::schema::{self, SchemaError};
use crate::store::session::{self, SessionError};

/// The database that a command works on.
pub struct Database {
    options: pool::Options,
    cluster: Option<Arc<Cluster>>,
}

impl Database {
    /// The one that was named, or the private one, which is started.
    pub async fn open(args: &DatabaseArgs, data_dir: &Path) -> anyhow::Result<Self> {
        if let Some(url) = &args.database_url {
            let options =
                pool::options_from_url(url.expose_secret()).map_err(|e| ConfigError(format!("--database-url: {e}")))?;
            return Ok(Self { options, cluster: None });
        }
        let settings = embedded::Settings {
            folder: folder(data_dir),
            programs: args.folders.postgres_bin.clone(),
            path: program_path(),
            environment: program_environment(),
            durable: true,
        };
        let cluster =
            tokio::task::spawn_blocking(move || Cluster::start(&settings)).await?.context("the private Postgres")?;
        tracing::info!(url = cluster.url(embedded::DATABASE), "no database was named: using a private Postgres");
        pool::create_database(&cluster.connect_options("postgres"), embedded::DATABASE).await?;
        let options = cluster.connect_options(embedded::DATABASE);
        Ok(Self { options, cluster: Some(Arc::new(cluster)) })
    }

    /// The same for a command that does its work beside a service: if that runs the private one, it is used.
    pub async fn join(args: &DatabaseArgs, data_dir: &Path) -> anyhow::Result<Self> {
        match Self::open(args, data_dir).await {
            Err(error) if matches!(error.downcast_ref(), Some(EmbeddedError::InUse(_))) => {
                let options = embedded::running(&folder(data_dir), embedded::DATABASE).ok_or(error)?;
                Ok(Self { options, cluster: None })
            }
            opened => opened,
        }
    }

    /// The pool to work with.
    pub fn pool(&self) -> pool::Pool {
        pool::pool(self.options.clone())
    }

    /// The URL of a private cluster, for clients of this machine.
    pub fn private_url(&self) -> Option<String> {
        self.cluster.as_ref().map(|cluster| cluster.url(embedded::DATABASE))
    }

    /// Checks the sessions that connections to a named database get; settings that do not arrive are logged.
    pub async fn check_sessions(&self) -> anyhow::Result<()> {
        if self.cluster.is_some() {
            return Ok(());
        }
        let missing = session::check(&self.options).await.map_err(|error| match error {
            SessionError::Shared => anyhow::Error::from(ConfigError(format!("--database-url: {error}"))),
            SessionError::Store(error) => anyhow::Error::new(error).context("connecting to the database"),
        })?;
        if !missing.is_empty() {
            tracing::warn!(
                missing = missing.join(", "),
                "the database does not have the settings that connections ask for: a pooler may drop `options`; set \
                 them for the role"
            );
        }
        Ok(())
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        told(schema::migrate(&self.options).await, "bringing the schema up to date")
    }

    /// Checks that the database can be worked with as it is.
    pub async fn check(&self) -> anyhow::Result<()> {
        told(schema::check(&self.options).await, "looking at the schema")
    }

    /// Watches over a private cluster until `stop` is cancelled.
    pub fn supervise(&self, jobs: &TaskTracker, stop: &CancellationToken) {
        if let Some(cluster) = &self.cluster {
            jobs.spawn_local(Arc::clone(cluster).supervise(stop.clone()));
        }
    }

    /// Shuts a private cluster down.
    pub async fn close(self) {
        if let Some(cluster) = self.cluster {
            let _ = tokio::task::spawn_blocking(move || cluster.stop()).await;
        }
    }
}

/// What the operator can set right ends the program with exit code 2.
fn told(done: Result<(), SchemaError>, doing: &str) -> anyhow::Result<()> {
    done.map_err(|error| match error {
        SchemaError::Older | SchemaError::Newer | SchemaError::Encoding(_) => {
            ConfigError(format!("--database-url: {error}")).into()
        }
        // Its own words repeat those of its cause.
        SchemaError::Migrate(error) => anyhow!("{doing}: {error}"),
        SchemaError::Store(error) => anyhow::Error::new(error).context(doing.to_owned()),
        SchemaError::Locked => anyhow!("{doing}: {error}"),
    })
}

/// Where the private cluster is.
fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres")
}
