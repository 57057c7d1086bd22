//! User tokens (acs-rooms.md, section 11).

use chrono::{DateTime, SubsecRound as _, Utc};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::identity::{TokenLifetime, TokenScope};
use crate::domain::resource::ResourceId;

/// A key that signs the tokens of one resource.
#[derive(Clone)]
pub struct Signer {
    header: Header,
    key: EncodingKey,
    public: Jwk,
    resource: ResourceId,
    made_at: DateTime<Utc>,
}

/// A key can't be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    #[error("making a signing key: {0}")]
    Generate(#[from] rcgen::Error),
    #[error("the signing key: {0}")]
    Key(#[from] jsonwebtoken::errors::Error),
}

/// A token as its user gets it.
#[derive(Debug)]
pub struct Token {
    pub text: String,
    pub expires_on: DateTime<Utc>,
}

/// A new RSA key: its id, and itself as PKCS #8 in PEM.
pub fn generate() -> Result<(String, String), SignerError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)?;
    Ok((thumbprint(key.public_key_raw()), key.serialize_pem()))
}

/// The id of a key: what it is the hash of can't change under the same id.
fn thumbprint(public: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&Sha256::digest(public)[..20])
}

#[derive(Serialize)]
struct Claims<'a> {
    skypeid: String,
    scp: u32,
    csi: String,
    exp: i64,
    iat: i64,
    rgn: &'a str,
    #[serde(rename = "acsScope")]
    acs_scope: String,
    #[serde(rename = "resourceId")]
    resource_id: String,
    #[serde(rename = "resourceLocation")]
    resource_location: &'a str,
    /// Ours: the issue in milliseconds.
    #[serde(rename = "iatMs")]
    iat_ms: i64,
    /// Ours: how often the user's tokens were revoked before, by which a later revocation is told.
    revocations: i64,
}

impl Signer {
    /// A signer with a kept key.
    pub fn new(
        resource: ResourceId,
        kid: &str,
        private_pem: &str,
        made_at: DateTime<Utc>,
    ) -> Result<Self, SignerError> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(kid.to_owned());
        header.x5t = Some(kid.to_owned());
        let key = EncodingKey::from_rsa_pem(private_pem.as_bytes())?;
        let mut public = Jwk::from_encoding_key(&key, Algorithm::RS256)?;
        public.common.key_id = Some(kid.to_owned());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { header, key, public, resource, made_at })
    }

    /// The id of its key.
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whose tokens it signs.
    pub fn resource(&self) -> ResourceId {
        self.resource
    }

    /// When its key was made.
    pub fn made_at(&self) -> DateTime<Utc> {
        self.made_at
    }

    /// The public half of its key.
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// A token for a user whose tokens were revoked so often before, from `now` on.
    pub fn issue(
        &self,
        user: Uuid,
        scopes: &[TokenScope],
        lifetime: TokenLifetime,
        now: DateTime<Utc>,
        revocations: i64,
    ) -> Result<Token, SignerError> {
        // Whole seconds, as `exp` counts: the token is over when its user is told that it is.
        let expires_on = (now + lifetime.as_delta()).trunc_subsecs(0);
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let claims = Claims {
            skypeid: format!("acs:{}_{user}", self.resource),
            scp: 1792,
            csi: now.timestamp().to_string(),
            exp: expires_on.timestamp(),
            iat: now.timestamp(),
            rgn: "amer",
            acs_scope: scopes.join(","),
            resource_id: self.resource.to_string(),
            resource_location: "unitedstates",
            iat_ms: now.timestamp_millis(),
            revocations,
        };
        Ok(Token { text: jsonwebtoken::encode(&self.header, &claims, &self.key)?, expires_on })
    }
}
