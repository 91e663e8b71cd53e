//! An endpoint's sealed values: opened for an attempt, or sealed anew under the current key.
//!
//! # Errors
//! Each function fails when a value that it has to open does not open. The functions below name only errors beyond this.

use super::{NotOpened, SealingError, SealingKeys};
use crate::custom_headers::CustomHeaders;
use crate::ed25519;
use crate::ed25519_keys::{PrivateKey, RotatedKeys, SealedKeyPair};
use crate::endpoint::Endpoint;
use crate::endpoint_secrets::EndpointSecrets;
use crate::masks::MASK;
use crate::receiver_auth::{ReceiverAuth, SealedAuth};
use crate::sealed::{Field, Sealed, SealedHeaders};
use crate::signing_secret::SigningSecret;
use crate::time::Timestamp;

/// All sealed values of an endpoint, as its row should hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    pub signing_secret: Sealed,
    /// Absent once the rotation overlaps no longer.
    pub previous_secret: Option<Sealed>,
    pub ed25519: Option<SealedKeyPair>,
    /// Absent likewise.
    pub previous_ed25519: Option<Sealed>,
    pub headers: SealedHeaders,
    pub auth: Option<SealedAuth>,
}

impl SealingKeys {
    /// The secrets of one attempt: those that sign at `now`, the endpoint's own headers, and its `auth`.
    pub fn secrets_of(&self, endpoint: &Endpoint, now: Timestamp) -> Result<EndpointSecrets, NotOpened> {
        let previous = endpoint.previous_secret_at(now);
        let previous = previous.map(|sealed| self.open(&endpoint.place(Field::PreviousSecret), sealed));
        let header = |(name, sealed): (&String, &Sealed)| {
            Ok((name.clone(), self.open(&endpoint.place(Field::Header(name)), sealed)?))
        };
        let headers = endpoint.headers.0.iter().map(header).collect::<Result<_, NotOpened>>()?;
        let private_key = |field, sealed: Option<&Sealed>| {
            let opened = sealed.map(|sealed| self.open(&endpoint.place(field), sealed)).transpose()?;
            Ok(opened.map(PrivateKey::from))
        };
        let present = endpoint.ed25519.as_ref().map(|pair| &pair.private_key);
        Ok(EndpointSecrets {
            signing: self.signing_secret_of(endpoint)?,
            previous: previous.transpose()?.map(SigningSecret::from),
            ed25519: private_key(Field::Ed25519, present)?,
            previous_ed25519: private_key(Field::PreviousEd25519, endpoint.previous_ed25519_at(now))?,
            headers: CustomHeaders::from_stored(headers),
            auth: endpoint.auth.as_ref().map(|auth| self.auth_of(endpoint, auth)).transpose()?,
        })
    }

    pub fn auth_of(&self, endpoint: &Endpoint, auth: &SealedAuth) -> Result<ReceiverAuth, NotOpened> {
        let secret = self.open(&endpoint.place(auth.field()), auth.secret())?;
        Ok(auth.with(secret.into()))
    }

    pub fn signing_secret_of(&self, endpoint: &Endpoint) -> Result<SigningSecret, NotOpened> {
        let secret = self.open(&endpoint.place(Field::SigningSecret), &endpoint.signing_secret)?;
        Ok(secret.into())
    }

    /// # Errors
    /// When the library refuses.
    pub fn seal_secret(
        &self,
        endpoint: &Endpoint,
        field: Field<'_>,
        secret: &SigningSecret,
    ) -> Result<Sealed, SealingError> {
        self.seal(&endpoint.place(field), secret.expose())
    }

    /// The key pair of an endpoint that is to have one: a new one, or the one that it has, sealed anew if its key is no
    /// longer the current one.
    ///
    /// # Errors
    /// When no pair can be made.
    pub fn seal_ed25519(
        &self,
        endpoint: &Endpoint,
        is_wanted: bool,
    ) -> Result<Option<SealedKeyPair>, SealingError> {
        match &endpoint.ed25519 {
            _ if !is_wanted => Ok(None),
            Some(pair) => self.reseal_pair(endpoint, pair).map(Some),
            None => self.new_pair(endpoint).map(Some),
        }
    }

    /// The keys of a rotation; `None` for an endpoint that has no key pair.
    ///
    /// # Errors
    /// When no pair can be made.
    pub fn rotate_ed25519(&self, endpoint: &Endpoint) -> Result<Option<RotatedKeys>, SealingError> {
        let Some(pair) = &endpoint.ed25519 else { return Ok(None) };
        let previous = self.open(&endpoint.place(Field::Ed25519), &pair.private_key)?;
        let previous = self.seal(&endpoint.place(Field::PreviousEd25519), &previous)?;
        Ok(Some(RotatedKeys { present: self.new_pair(endpoint)?, previous }))
    }

    fn new_pair(&self, endpoint: &Endpoint) -> Result<SealedKeyPair, SealingError> {
        let pair = ed25519::generate()?;
        let private_key = self.seal(&endpoint.place(Field::Ed25519), pair.private_key.expose())?;
        Ok(SealedKeyPair { private_key, public_key: pair.public_key })
    }

    fn reseal_pair(&self, endpoint: &Endpoint, pair: &SealedKeyPair) -> Result<SealedKeyPair, SealingError> {
        let private_key = self.reseal(endpoint, Field::Ed25519, &pair.private_key)?;
        Ok(SealedKeyPair { private_key, public_key: pair.public_key.clone() })
    }

    /// The endpoint with its headers and its `auth` under the current key. A change that keeps such a value seals it
    /// so, and is then known as no change. A value that does not open stays as it is, and a change may replace it.
    #[must_use]
    pub fn under_current_key(&self, endpoint: &Endpoint) -> Endpoint {
        let anew = |field: Field<'_>, sealed: &Sealed| {
            self.reseal(endpoint, field, sealed).unwrap_or_else(|_| sealed.clone())
        };
        let header = |(name, sealed): (&String, &Sealed)| (name.clone(), anew(Field::Header(name), sealed));
        let headers = SealedHeaders(endpoint.headers.0.iter().map(header).collect());
        let auth = endpoint.auth.as_ref().map(|auth| auth.with(anew(auth.field(), auth.secret())));
        Endpoint { headers, auth, ..endpoint.clone() }
    }

    /// Headers as a caller sent them, sealed for an endpoint. A mask keeps the endpoint's value, which is sealed anew
    /// if its key is no longer the current one: a sweep may have passed the endpoint already. `crate::masks` has
    /// checked the masks. The same value again is kept likewise, so that it is known as no change.
    pub fn seal_headers(
        &self,
        endpoint: &Endpoint,
        headers: &CustomHeaders,
    ) -> Result<SealedHeaders, SealingError> {
        let one = |(name, value): (&String, &String)| {
            let field = Field::Header(name);
            let kept = endpoint.headers.0.get(name).filter(|kept| self.is_kept(endpoint, field, kept, value));
            let sealed = match kept {
                Some(kept) => self.reseal(endpoint, field, kept),
                None => self.seal(&endpoint.place(field), value),
            };
            Ok((name.clone(), sealed?))
        };
        let sealed = headers.expose().iter().map(one).collect::<Result<_, SealingError>>()?;
        Ok(SealedHeaders(sealed))
    }

    /// The `auth` of a caller, sealed for an endpoint. A mask keeps the secret, as in [`Self::seal_headers`].
    pub fn seal_auth(&self, endpoint: &Endpoint, auth: &ReceiverAuth) -> Result<SealedAuth, SealingError> {
        let secret = auth.secret().expose();
        let kept = endpoint.auth.as_ref().and_then(|before| auth.secret_like(before));
        let sealed = match kept.filter(|kept| self.is_kept(endpoint, auth.field(), kept, secret)) {
            Some(kept) => self.reseal(endpoint, auth.field(), kept),
            None => self.seal(&endpoint.place(auth.field()), secret),
        };
        Ok(auth.with(sealed?))
    }

    /// The endpoint's values under the current key, without a previous secret that signs no longer. `None` when its row holds
    /// them so already.
    pub fn reseal_all(&self, endpoint: &Endpoint, now: Timestamp) -> Result<Option<Resealed>, SealingError> {
        let previous = endpoint.previous_secret_at(now);
        let previous_ed25519 = endpoint.previous_ed25519_at(now);
        let is_current = |sealed: &Sealed| sealed.is_under(&self.current);
        if is_current(&endpoint.signing_secret)
            && endpoint.headers.0.values().all(is_current)
            && endpoint.auth.as_ref().is_none_or(|auth| is_current(auth.secret()))
            && previous == endpoint.previous_secret.as_ref()
            && previous.is_none_or(is_current)
            && endpoint.ed25519.as_ref().is_none_or(|pair| is_current(&pair.private_key))
            && previous_ed25519.is_none_or(is_current)
        {
            return Ok(None);
        }
        let header = |(name, sealed): (&String, &Sealed)| {
            Ok((name.clone(), self.reseal(endpoint, Field::Header(name), sealed)?))
        };
        let headers = endpoint.headers.0.iter().map(header).collect::<Result<_, SealingError>>()?;
        let previous = previous.map(|sealed| self.reseal(endpoint, Field::PreviousSecret, sealed));
        let pair = endpoint.ed25519.as_ref().map(|pair| self.reseal_pair(endpoint, pair));
        let previous_ed25519 =
            previous_ed25519.map(|sealed| self.reseal(endpoint, Field::PreviousEd25519, sealed));
        let auth = endpoint.auth.as_ref().map(|auth| {
            Ok::<_, SealingError>(auth.with(self.reseal(endpoint, auth.field(), auth.secret())?))
        });
        Ok(Some(Resealed {
            signing_secret: self.reseal(endpoint, Field::SigningSecret, &endpoint.signing_secret)?,
            previous_secret: previous.transpose()?,
            ed25519: pair.transpose()?,
            previous_ed25519: previous_ed25519.transpose()?,
            headers: SealedHeaders(headers),
            auth: auth.transpose()?,
        }))
    }

    /// Whether a value that a caller sent stands for the one that is sealed. One that does not open is replaced.
    fn is_kept(&self, endpoint: &Endpoint, field: Field<'_>, sealed: &Sealed, sent: &str) -> bool {
        sent == MASK || self.open(&endpoint.place(field), sealed).is_ok_and(|value| value == sent)
    }

    fn reseal(&self, endpoint: &Endpoint, field: Field<'_>, sealed: &Sealed) -> Result<Sealed, SealingError> {
        if sealed.is_under(&self.current) {
            return Ok(sealed.clone());
        }
        let place = endpoint.place(field);
        self.seal(&place, &self.open(&place, sealed)?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::endpoint::ROTATION_OVERLAP;
    use crate::id::{EndpointId, ProjectId};
    use crate::receiver_auth::{Auth, OAuth2};
    use crate::shards::Shards;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn keys(current: &str) -> SealingKeys {
        let secret = format!(
            r#"{{"current": "{current}", "k1": "{}", "k2": "{}"}}"#,
            "one-0123456789abcdefghijklmnopqrstuv", "two-0123456789abcdefghijklmnopqrstuv"
        );
        SealingKeys::parse(&secret).expect("keys")
    }

    fn headers(pairs: &[(&str, &str)]) -> CustomHeaders {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        CustomHeaders::new(pairs).expect("headers")
    }

    fn client(secret: &str) -> ReceiverAuth {
        Auth::OAuth2(OAuth2 {
            token_url: "https://login.example.com/token".to_owned(),
            client_id: "id".to_owned(),
            client_secret: secret.to_owned().into(),
            scope: None,
        })
    }

    /// An endpoint under `k1`, in the middle of a rotation, with a key pair, a header and a client.
    fn endpoint() -> Endpoint {
        let keys = keys("k1");
        let (url, nothing) = ("https://example.com/".to_owned(), Vec::new().into());
        let (project, id) = (ProjectId::new(NOW), EndpointId::new(NOW));
        let mut endpoint = Endpoint::new(project, id, Shards::ONE, url, Vec::new(), nothing, NOW);
        let secret = |field, text: &str| {
            keys.seal_secret(&endpoint, field, &text.to_owned().into()).expect("a secret")
        };
        let (signing, previous) =
            (secret(Field::SigningSecret, "whsec_b"), secret(Field::PreviousSecret, "whsec_a"));
        let pair = keys.seal_ed25519(&endpoint, true).expect("a pair");
        let sealed = keys.seal_headers(&endpoint, &headers(&[("x-a", "value")])).expect("headers");
        endpoint.auth = Some(keys.seal_auth(&endpoint, &client("client's")).expect("a client"));
        (endpoint.signing_secret, endpoint.headers) = (signing, sealed);
        endpoint.previous_secret = Some(previous);
        endpoint.previous_secret_until = Some(NOW.plus(ROTATION_OVERLAP));
        endpoint.ed25519 = pair;
        let rotated = keys.rotate_ed25519(&endpoint).expect("rotated").expect("a pair");
        (endpoint.ed25519, endpoint.previous_ed25519) = (Some(rotated.present), Some(rotated.previous));
        endpoint
    }

    #[test]
    fn the_previous_secret_signs_while_the_rotation_overlaps() {
        let (endpoint, keys) = (endpoint(), keys("k2"));
        let during = keys.secrets_of(&endpoint, NOW).expect("secrets");
        let all: Vec<&str> = during.all().map(SigningSecret::expose).collect();
        assert_eq!(all, ["whsec_b", "whsec_a"]);
        assert_eq!(during.headers, headers(&[("x-a", "value")]));
        assert_eq!(during.auth, Some(client("client's")));
        let after = keys.secrets_of(&endpoint, NOW.plus(ROTATION_OVERLAP)).expect("secrets");
        assert_eq!((after.previous, after.previous_ed25519), (None, None));
        assert_eq!((during.private_keys().count(), after.ed25519), (2, during.ed25519.clone()));
    }

    #[test]
    fn a_row_is_sealed_anew_under_the_current_key_and_loses_an_expired_secret() {
        let (before, later) = (endpoint(), NOW.plus(ROTATION_OVERLAP + Duration::from_secs(1)));
        assert_eq!(keys("k1").reseal_all(&before, NOW).expect("opened"), None);
        let keys = keys("k2");
        let Resealed { signing_secret, previous_secret, ed25519, previous_ed25519, headers, auth } =
            keys.reseal_all(&before, NOW).expect("opened").expect("an earlier key");
        let after = Endpoint {
            signing_secret,
            previous_secret,
            ed25519,
            previous_ed25519,
            headers,
            auth,
            ..before.clone()
        };
        assert_eq!(keys.secrets_of(&after, NOW), keys.secrets_of(&before, NOW));
        assert_eq!(keys.reseal_all(&after, NOW).expect("opened"), None);
        let pair = after.ed25519.as_ref().map(|pair| &pair.private_key);
        let secret = after.auth.as_ref().map(SealedAuth::secret);
        let all = [&after.signing_secret, &after.headers.0["x-a"]].into_iter();
        let all = all.chain(&after.previous_secret).chain(pair).chain(&after.previous_ed25519).chain(secret);
        assert!(all.into_iter().all(|sealed| sealed.is_under(keys.current())));
        let expired = keys.reseal_all(&after, later).expect("opened").expect("an expired secret");
        assert_eq!((expired.previous_secret, expired.previous_ed25519), (None, None));
    }

    #[test]
    fn a_row_that_was_copied_to_another_endpoint_does_not_open() {
        let own = endpoint();
        let copied = Endpoint { id: EndpointId::new(NOW), ..own.clone() };
        let stolen = Endpoint { project_id: ProjectId::new(NOW), ..own };
        for other in [copied, stolen] {
            assert!(matches!(keys("k1").secrets_of(&other, NOW), Err(NotOpened::Damaged { .. })));
            assert!(keys("k2").reseal_all(&other, NOW).is_err());
        }
    }

    #[test]
    fn a_masked_value_is_kept_under_the_current_key() {
        let (endpoint, keys) = (endpoint(), keys("k2"));
        let changed =
            keys.seal_headers(&endpoint, &headers(&[("x-a", MASK), ("x-b", "new")])).expect("sealed");
        assert!(changed.0.values().all(|sealed| sealed.is_under(keys.current())));
        let auth = keys.seal_auth(&endpoint, &client(MASK)).expect("sealed");
        assert!(auth.secret().is_under(keys.current()));
        let after = Endpoint { headers: changed, auth: Some(auth), ..endpoint };
        let opened = keys.secrets_of(&after, NOW).expect("secrets");
        assert_eq!(opened.headers, headers(&[("x-a", "value"), ("x-b", "new")]));
        assert_eq!(opened.auth, Some(client("client's")));
    }

    #[test]
    fn a_value_that_is_sent_again_under_a_new_key_is_no_change() {
        let (read, keys) = (endpoint(), keys("k2"));
        let before = keys.under_current_key(&read);
        assert_ne!((&before.headers, &before.auth), (&read.headers, &read.auth));
        assert_eq!(keys.secrets_of(&before, NOW), keys.secrets_of(&read, NOW));
        for [value, secret] in [["value", "client's"], [MASK, MASK]] {
            let same = keys.seal_headers(&before, &headers(&[("x-a", value)])).expect("sealed");
            assert_eq!(same, before.headers);
            assert_eq!(Some(keys.seal_auth(&before, &client(secret)).expect("sealed")), before.auth);
        }
        let other = keys.seal_headers(&before, &headers(&[("x-a", "other")])).expect("sealed");
        assert_ne!(other, before.headers);
    }

    #[test]
    fn a_value_that_does_not_open_stays_until_a_change_replaces_it() {
        let (mut damaged, keys) = (endpoint(), keys("k2"));
        damaged.headers.0.insert("x-a".to_owned(), vec![7].into());
        let before = keys.under_current_key(&damaged);
        assert_eq!(before.headers, damaged.headers);
        assert!(before.auth.as_ref().is_some_and(|auth| auth.secret().is_under(keys.current())));
        assert!(keys.seal_headers(&before, &headers(&[("x-a", "new")])).is_ok());
        assert!(keys.seal_headers(&before, &headers(&[("x-a", MASK)])).is_err());
    }

    #[test]
    fn the_same_value_again_is_kept_as_it_is_sealed() {
        let (endpoint, keys) = (endpoint(), keys("k1"));
        let same = keys.seal_headers(&endpoint, &headers(&[("x-a", "value")])).expect("sealed");
        assert_eq!(same.0["x-a"], endpoint.headers.0["x-a"]);
        let other = keys.seal_headers(&endpoint, &headers(&[("x-a", "other")])).expect("sealed");
        assert_ne!(other.0["x-a"], endpoint.headers.0["x-a"]);
        let auth = |secret: &str| keys.seal_auth(&endpoint, &client(secret)).expect("sealed");
        assert_eq!(Some(auth("client's")), endpoint.auth);
        assert_ne!(Some(auth("another's")), endpoint.auth);
    }
}
