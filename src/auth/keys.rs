//! Every key of the service, as last read from the database: requests see a change without a restart.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};

use super::jwt::Signer;
use super::keyring::Keyring;
use crate::domain::resource::ResourceId;

/// A new signing key is published at once, and used only when every replica publishes it: also one
/// that failed to read the keys a few times, or whose clock differs; and whoever checks tokens has
/// had the time to fetch it.
const PUBLISHED_FIRST: TimeDelta = TimeDelta::minutes(5);

/// The keys at one moment.
pub struct Keys {
    pub access: Keyring,
    /// Of every resource, a resource's newest first.
    pub signers: Vec<Signer>,
}

impl Keys {
    /// What to sign a resource's tokens with at `now`.
    pub fn signer(&self, resource: ResourceId, now: DateTime<Utc>) -> Option<&Signer> {
        let of_resource = || self.signers.iter().filter(|signer| signer.resource() == resource);
        of_resource().find(|signer| signer.made_at() + PUBLISHED_FIRST <= now).or_else(|| of_resource().next_back())
    }
}

/// The keys now; clones share them.
#[derive(Clone)]
pub struct LiveKeys(Arc<RwLock<Arc<Keys>>>);

impl LiveKeys {
    /// Starts with these.
    pub fn new(keys: Keys) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keys))))
    }

    /// Those of this moment.
    pub fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with others.
    pub fn replace(&self, keys: Keys) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }
}
