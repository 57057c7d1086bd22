//! Keys from the database to those who judge by them, at the start and from then on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::auth::jwt::{self, Signer};
use crate::auth::keyring::{self, AccessKey};
use crate::auth::keys::{Keys, LiveKeys};
use crate::config::{ConfigError, DEVELOPMENT_KEY};
use crate::domain::resource::ResourceId;
use crate::service::keys::{Given, PrepareError};
use crate::service::{self, Context, ServiceError};
use crate::store::signing_keys::SigningKeyRow;

/// True for every text of the key that is no secret: clients sign with the bytes that a text encodes.
pub fn is_development_key(text: &str) -> bool {
    keyring::decode(text).is_ok_and(|bytes| keyring::decode(DEVELOPMENT_KEY) == Ok(bytes))
}

/// How often the keys are read again.
const REFRESH: Duration = Duration::from_secs(30);
/// How soon, if they could not be read.
const RETRY: Duration = Duration::from_secs(2);

/// Makes what the default resource has to have, and reads every key there is.
///
/// # Errors
/// The database can't be reached, a key in it can't be used, or the keys that were given are others than those in it.
pub async fn prepare(ctx: &Context, given: Given<'_>, named_rooms: bool) -> anyhow::Result<LiveKeys> {
    let secondary = keyring::generate();
    let takes_public = is_development_key(given.primary);
    let resource = match service::keys::prepare(ctx, given, &secondary, is_development_key, named_rooms).await {
        Ok(resource) => resource,
        Err(PrepareError::OtherPrimary) if takes_public => {
            return Err(ConfigError(
                "the database has an access key of its own, and the development key would replace it: give the one \
                 that it has with --access-key"
                    .to_owned(),
            )
            .into());
        }
        Err(PrepareError::OtherPrimary) => return Err(other("--access-key").into()),
        Err(PrepareError::OtherSecondary) => return Err(other("--secondary-access-key").into()),
        Err(PrepareError::Service(error)) => return Err(error).context("preparing the database"),
    };
    let keys = load_for(ctx, takes_public).await?;
    if keys.signers.iter().any(|signer| signer.resource() == resource) {
        return Ok(LiveKeys::new(keys));
    }
    service::keys::keep_first_signing_key(ctx, &signing_key(ctx, resource)?).await.context("keeping a signing key")?;
    Ok(LiveKeys::new(load_for(ctx, takes_public).await?))
}

fn other(flag: &str) -> ConfigError {
    ConfigError(format!(
        "{flag}: the database has other access keys, with which clients of other instances sign: give one that it has, \
         or replace it for all of them with --replace-access-key"
    ))
}

/// Reads the keys, the development key only for a service that runs with it: of those that share a database, one may,
/// for its machine alone, while others are reached from elsewhere.
async fn load_for(ctx: &Context, takes_public: bool) -> anyhow::Result<Keys> {
    let keys = load(ctx).await?;
    if takes_public || !has_public(&keys) {
        return Ok(keys);
    }
    tracing::warn!("the development key is in the database, and is not taken here: another instance runs with it");
    let access = keys.access.iter().filter(|key| !key.signs_as(DEVELOPMENT_KEY)).cloned().collect();
    Ok(Keys { access, ..keys })
}

fn has_public(keys: &Keys) -> bool {
    keys.access.iter().any(|key| key.signs_as(DEVELOPMENT_KEY))
}

/// Gives the default resource a new key to sign user tokens with. Tokens that are signed with the
/// old one stay good until they expire: it is published as long.
pub async fn rotate_signing_key(ctx: &Context) -> anyhow::Result<String> {
    let resource =
        service::keys::default_resource(ctx).await?.context("the database has no resource yet: serve first")?;
    let key = signing_key(ctx, resource)?;
    service::keys::add_signing_key(ctx, &key).await.context("keeping a signing key")?;
    Ok(key.kid)
}

/// Reads the keys again and again, and whenever it is `asked`, until `stop` is cancelled. What can't be read leaves them
/// as they are.
pub async fn refresh(ctx: Context, keys: LiveKeys, asked: Arc<Notify>, stop: CancellationToken) {
    let mut pause = REFRESH;
    let takes_public = has_public(&keys.current());
    // It is asked, or the pause is over.
    while stop.run_until_cancelled(timeout(pause, asked.notified())).await.is_some() {
        pause = match load_for(&ctx, takes_public).await {
            Ok(read) => {
                keys.replace(read);
                REFRESH
            }
            Err(error) => {
                match error.downcast_ref::<ServiceError>() {
                    Some(error) => error.log("the keys can't be read again"),
                    None => tracing::warn!(error = format!("{error:#}"), "the keys can't be read again"),
                }
                RETRY
            }
        };
    }
}

/// Reads the keys.
///
/// # Errors
/// The database can't be reached, or a key in it can't be used.
pub async fn load(ctx: &Context) -> anyhow::Result<Keys> {
    let (access, signing) = service::keys::all(ctx).await.context("reading the keys")?;
    let access = access.iter().map(|row| {
        AccessKey::new(row.resource, format!("{}.{}", row.resource_name, row.name), &row.secret)
            .with_context(|| format!("the {} key of resource {}", row.name, row.resource_name))
    });
    let signers = signing.iter().map(|row| {
        Signer::new(row.resource, &row.kid, &row.private_pem, row.created_at)
            .with_context(|| format!("the signing key {}", row.kid))
    });
    Ok(Keys { access: access.collect::<anyhow::Result<_>>()?, signers: signers.collect::<anyhow::Result<_>>()? })
}

fn signing_key(ctx: &Context, resource: ResourceId) -> anyhow::Result<SigningKeyRow> {
    let (kid, private_pem) = jwt::generate()?;
    Ok(SigningKeyRow { resource, kid, private_pem, created_at: ctx.clock.now() })
}
