//! The access tokens that this process has, each for one endpoint and one credential: no tenant's request carries
//! another tenant's token, though both may name one token URL and one client.
//!
//! Attempts that need a token at once share one request for it. The first makes the request, under its own deadline,
//! and the others wait until theirs. A refusal that came meanwhile is theirs too. So is a deadline that passed, unless
//! theirs leaves time to ask again.
//!
//! (Rejected: the token in the endpoint's row, sealed. It would save a request in each new process, and cost each
//! attempt's read and a write for each token.)

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use echo_shared::access_token::AccessToken;
use echo_shared::attempt::{Missing, NoToken, SendFailure};
use echo_shared::id::{EndpointId, ProjectId};
use echo_shared::receiver_auth::Fingerprint;
use echo_shared::time::Timestamp;

use crate::sender::Deadline;

/// The least time in which a token may come.
const WORTH_ASKING: Duration = Duration::from_secs(1);

/// The most tokens that are kept.
const MOST: usize = 1_024;

/// The owner of a token: an endpoint of a project, with one credential.
pub(crate) type Owner = (ProjectId, EndpointId, Fingerprint);

#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<Owner, Arc<TokenPlace>>>);

/// The place of one token.
#[derive(Debug)]
struct TokenPlace {
    made_at: Timestamp,
    /// How many requests for the token have ended.
    asked: AtomicU64,
    /// Locked while a request for the token is under way.
    last: tokio::sync::Mutex<Option<Result<AccessToken, NoToken>>>,
}

/// A token, and whether it was there before.
#[derive(Debug)]
pub(crate) struct Had {
    pub(crate) token: AccessToken,
    pub(crate) is_from_before: bool,
}

impl Tokens {
    /// A token that is good now and is not the `refused` one: the one that is here, or the one that `ask` gets.
    pub(crate) async fn get(
        &self,
        owner: Owner,
        refused: Option<&AccessToken>,
        deadline: Deadline,
        ask: impl Future<Output = Result<AccessToken, NoToken>>,
    ) -> Result<Had, NoToken> {
        let place = self.place(owner);
        let asked = place.asked.load(Ordering::Acquire);
        let locked = deadline.within(Missing::Answer, place.last.lock()).await;
        let mut last = locked.map_err(NoToken::Unreached)?;
        match &*last {
            Some(Ok(token)) if token.is_good(Timestamp::now()) && Some(token) != refused => {
                return Ok(Had { token: token.clone(), is_from_before: true });
            }
            Some(Err(why))
                if place.asked.load(Ordering::Acquire) > asked
                    && (!is_late(*why) || !deadline.leaves(WORTH_ASKING)) =>
            {
                return Err(*why);
            }
            _ => {}
        }
        // Should this attempt be given up now, the next one asks again.
        *last = None;
        let got = ask.await;
        *last = Some(got.clone());
        place.asked.fetch_add(1, Ordering::AcqRel);
        Ok(Had { token: got?, is_from_before: false })
    }

    /// Gives up a token that a receiver has refused, unless another is in its place.
    pub(crate) fn forget(&self, owner: Owner, refused: &AccessToken) {
        let place = self.place(owner);
        // A request that is under way will replace it anyway.
        if let Ok(mut last) = place.last.try_lock()
            && last.as_ref().is_some_and(|last| last.as_ref() == Ok(refused))
        {
            *last = None;
        }
    }

    fn place(&self, owner: Owner) -> Arc<TokenPlace> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MOST && !places.contains_key(&owner) {
            let oldest = places.iter().min_by_key(|(_, place)| place.made_at).map(|(owner, _)| *owner);
            oldest.map(|oldest| places.remove(&oldest));
        }
        let place = places.entry(owner).or_insert_with(|| {
            Arc::new(TokenPlace {
                made_at: Timestamp::now(),
                asked: AtomicU64::default(),
                last: tokio::sync::Mutex::default(),
            })
        });
        Arc::clone(place)
    }
}

/// Whether only the time of the attempt that asked was over.
const fn is_late(why: NoToken) -> bool {
    matches!(why, NoToken::Unreached(SendFailure::TimedOut { .. }))
}
