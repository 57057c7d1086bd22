//! Which versions of the API are spoken (acs-rooms.md, section 1).

use actix_web::HttpRequest;

use super::error::ApiError;

/// A version that is answered; the order is their age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Before 2025.
    Older,
    Since2025,
}

/// One of the two APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Rooms,
    Identity,
}

impl Api {
    /// By the path: what is not Identity is answered as Rooms. A base URL that ends in a slash doubles the first one.
    pub fn of(path: &str) -> Self {
        if path.trim_start_matches('/').starts_with("identities") { Self::Identity } else { Self::Rooms }
    }

    /// The versions that answers advertise.
    pub fn supported(self) -> &'static str {
        match self {
            Self::Rooms => "2023-06-14, 2023-10-30-preview, 2024-04-15, 2025-02-28-preview, 2025-03-13",
            Self::Identity => "2021-03-07, 2022-06-01, 2022-10-01, 2023-10-01",
        }
    }

    fn version(self, named: &str) -> Option<Version> {
        match (self, named) {
            (Self::Rooms, "2023-06-14" | "2023-10-30-preview" | "2024-04-15") => Some(Version::Older),
            // The last is what the Python client writes on next pages (section 6).
            (Self::Rooms, "2025-02-28-preview" | "2025-03-13" | "ApiVersion.V2025_03_13") => Some(Version::Since2025),
            (Self::Identity, "2021-03-07" | "2022-06-01" | "2022-10-01" | "2023-10-01") => Some(Version::Older),
            _ => None,
        }
    }
}

/// The version that a request names.
///
/// # Errors
/// It names none, or one that is not spoken.
pub fn read(req: &HttpRequest) -> Result<Version, ApiError> {
    let named = form_urlencoded::parse(req.query_string().as_bytes())
        .find(|(name, value)| name == "api-version" && !value.is_empty())
        .map(|(_, value)| value)
        .ok_or(ApiError::ApiVersionUnspecified)?;
    Api::of(req.path()).version(&named).ok_or_else(|| ApiError::UnsupportedApiVersion {
        uri: req.uri().path().to_owned(),
        version: named.into_owned(),
    })
}
