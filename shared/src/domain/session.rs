//! Sessions. A login begins one, and its refresh tokens follow each other in generations (contract §2).
//!
//! A client may lose the answer to a refresh, and two tabs may refresh with the same token. So the token before the newest
//! still gives the newest. A token before that one shows that somebody uses a copy, and the session ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::id::{AccountId, SessionId, SessionSetId};
use crate::time::Timestamp;

/// The longest that a session lasts.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// One row of the sessions table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub account_id: AccountId,
    pub id: SessionId,
    /// The account's set when the session began.
    pub session_set: SessionSetId,
    /// Counts the refresh tokens. The newest token of the session has this number.
    pub generation: u32,
    /// When the newest refresh token was made. With the other fields it gives the same token each time.
    pub issued_at: Timestamp,
    /// Unix seconds.
    pub expires_at: i64,
}

/// The answer to a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refresh {
    /// The token is the newest. Its successor is the token of this session.
    Advance(Session),
    /// The token's successor has been made before. The caller gets it again.
    Repeat,
    /// The token's successor has been used already: the session ends.
    End,
}

impl Session {
    /// The session of a login that `account`'s present password allowed.
    #[must_use]
    pub fn new(account: &Account, now: Timestamp) -> Self {
        Self {
            account_id: account.id,
            id: SessionId::new(now),
            session_set: account.session_set,
            generation: 0,
            issued_at: now,
            expires_at: now.plus(SESSION_LIFETIME).as_seconds(),
        }
    }

    /// Whether tokens of this session are valid. `account` is its account's row.
    #[must_use]
    pub fn lives(&self, account: &Account, now: Timestamp) -> bool {
        self.account_id == account.id
            && self.session_set == account.session_set
            && now.as_seconds() < self.expires_at
    }

    /// Decides on a refresh token of this generation.
    #[must_use]
    pub fn refresh(&self, generation: u32, now: Timestamp) -> Refresh {
        if generation == self.generation {
            Refresh::Advance(Self {
                generation: generation.saturating_add(1),
                issued_at: now,
                ..self.clone()
            })
        } else if generation.checked_add(1) == Some(self.generation) {
            Refresh::Repeat
        } else {
            Refresh::End
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::account::{EmailKey, PasswordHash};
    use crate::id::BusinessId;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn account() -> Account {
        Account {
            email_key: EmailKey::of("ada@example.com"),
            id: AccountId::new(NOW),
            email: "ada@example.com".to_owned(),
            password_hash: PasswordHash(String::new()),
            session_set: SessionSetId::new(NOW),
            first_name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
            business_id: BusinessId::new(NOW),
            business_name: "Engines".to_owned(),
            business_summary: "Engines".to_owned(),
            industry: "Computing".to_owned(),
            created_at: NOW,
        }
    }

    fn later(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_session_lives_for_90_days_in_its_accounts_present_set() {
        let account = account();
        let session = Session::new(&account, NOW);
        let day = 24 * 60 * 60;
        assert!(session.lives(&account, NOW) && session.lives(&account, later(90 * day - 1)));
        assert!(!session.lives(&account, later(90 * day)));
        let after_all_ended = Account { session_set: SessionSetId::new(NOW), ..account.clone() };
        assert!(!session.lives(&after_all_ended, NOW));
        let other = Account { id: AccountId::new(NOW), ..account };
        assert!(!session.lives(&other, NOW), "another account with the same set");
    }

    #[test]
    fn a_token_gives_one_successor_until_that_one_is_used() {
        let first = Session::new(&account(), NOW);
        let Refresh::Advance(second) = first.refresh(0, later(60)) else {
            panic!("the newest token refreshes")
        };
        assert_eq!((second.generation, second.issued_at), (1, later(60)));
        assert_eq!(second.expires_at, first.expires_at, "a refresh makes no session longer");
        assert_eq!(second.refresh(0, later(61)), Refresh::Repeat);
        let Refresh::Advance(third) = second.refresh(1, later(120)) else { panic!("and so does the next") };
        assert_eq!(third.refresh(1, later(121)), Refresh::Repeat);
        assert_eq!(third.refresh(0, later(122)), Refresh::End);
        assert_eq!(third.refresh(3, later(122)), Refresh::End, "a token from after a backup");
    }

    /// A session as the service keeps it, and the token that each generation had.
    struct Service {
        row: Option<Session>,
        made: Vec<Timestamp>,
        clock: u64,
    }

    impl Service {
        fn new() -> Self {
            let row = Session::new(&account(), NOW);
            Self { made: vec![row.issued_at], row: Some(row), clock: 0 }
        }

        /// Answers a refresh token as the api does, and gives the generation of the token in the answer.
        fn refresh(&mut self, generation: u32) -> Option<u32> {
            self.clock += 1;
            let row = self.row.take()?;
            self.row = match row.refresh(generation, later(self.clock)) {
                Refresh::Advance(next) => {
                    self.made.push(next.issued_at);
                    Some(next)
                }
                Refresh::Repeat => Some(row),
                Refresh::End => None,
            };
            let row = self.row.as_ref()?;
            assert_eq!(
                self.made.get(row.generation as usize),
                Some(&row.issued_at),
                "one token a generation"
            );
            Some(row.generation)
        }
    }

    proptest! {
        /// With any tokens in any order: a use of the two newest goes on, and any other use ends the session for good.
        #[test]
        fn only_the_two_newest_tokens_give_anything(uses in prop::collection::vec(0_u32..4, 1..60)) {
            let mut service = Service::new();
            let mut newest = Some(0_u32);
            for behind in uses {
                let presented = newest.unwrap_or(0).saturating_sub(behind);
                let expected = newest.and_then(|newest| match newest - presented {
                    0 => Some(newest + 1),
                    1 => Some(newest),
                    _ => None,
                });
                prop_assert_eq!(service.refresh(presented), expected);
                newest = expected;
            }
        }

        /// Two tabs keep one session, and either may lose any answer. The other's answer is then the same token, or one
        /// that the first gets by trying again. Nobody is signed out as long as both know the newest token before either
        /// goes further.
        #[test]
        fn tabs_that_lose_answers_stay_signed_in(rounds in prop::collection::vec((1_usize..5, 0_usize..5), 1..40)) {
            let mut service = Service::new();
            let mut known = 0;
            for (calls, lost) in rounds {
                let answers: Vec<_> = (0..calls).map(|_| service.refresh(known)).collect();
                prop_assert!(answers.iter().all(|answer| *answer == Some(known + 1)), "one successor for all");
                if lost < calls {
                    known += 1;
                }
            }
        }

        /// A thief copies a token. Either both go on side by side, one token apart at most, or the session ends for both.
        #[test]
        fn a_thief_and_the_owner_cannot_go_separate_ways(turns in prop::collection::vec(any::<bool>(), 1..60)) {
            let mut service = Service::new();
            let (mut owner, mut thief) = (Some(0), Some(0));
            for is_owner in turns {
                let hand = if is_owner { &mut owner } else { &mut thief };
                *hand = hand.and_then(|token| service.refresh(token));
                if hand.is_none() {
                    prop_assert!(service.row.is_none(), "the session is over");
                    prop_assert_eq!(owner.and_then(|token| service.refresh(token)), None);
                    prop_assert_eq!(thief.and_then(|token| service.refresh(token)), None);
                }
            }
        }
    }
}
