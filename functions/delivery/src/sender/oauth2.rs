//! Requests that carry an access token: the token is had first, under the same rules for addresses and the same deadline
//! (contract §5).

use echo_shared::access_token::{self, AccessToken, MAX_ANSWER_BYTES, TokenRequest, Verdict};
use echo_shared::attempt::{NoToken, Outcome, SendFailure};
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::origin::ORIGIN_HEADER;
use echo_shared::receiver_auth::{AuthSecret, Fingerprint, OAuth2};
use echo_shared::time::Timestamp;

use crate::sender::exchange::{Heard, exchange};
use crate::sender::tokens::Had;
use crate::sender::{Deadline, Post, Sender, Sent, failure, request};

const AUTHORIZATION: &str = "authorization";

impl Sender {
    /// Posts with a token. When the receiver refuses a token from before, it gets the request once more, with another
    /// token. If no other token can be had, the refusal stands.
    pub(super) async fn send_with_token(
        &self,
        client: &OAuth2<AuthSecret>,
        credential: Fingerprint,
        mut post: Post,
        deadline: Deadline,
    ) -> Sent {
        let owner = (post.project, post.endpoint, credential);
        let origin = post.header(ORIGIN_HEADER).map(str::to_owned);
        let ask = self.ask_for_token(client, origin.as_deref(), &post, deadline);
        let Had { token, is_from_before } = match self.tokens.get(owner, None, deadline, ask).await {
            Ok(had) => had,
            Err(why) => return Sent { outcome: Outcome::NoToken { why }, again: false },
        };
        post.set_header(AUTHORIZATION, token.authorization());
        let sent = self.deliver(&post, deadline).await;
        match verdict(&sent.outcome, is_from_before) {
            Verdict::Keep => return sent,
            Verdict::Forget => {
                self.tokens.forget(owner, &token);
                return sent;
            }
            Verdict::Renew => {}
        }
        let ask = self.ask_for_token(client, origin.as_deref(), &post, deadline);
        let renewed = match self.tokens.get(owner, Some(&token), deadline, ask).await {
            Ok(had) => had.token,
            Err(_) => return sent,
        };
        post.set_header(AUTHORIZATION, renewed.authorization());
        let second = self.deliver(&post, deadline).await;
        if verdict(&second.outcome, false) == Verdict::Forget {
            self.tokens.forget(owner, &renewed);
        }
        Sent { again: sent.again || second.again, ..second }
    }

    async fn ask_for_token(
        &self,
        client: &OAuth2<AuthSecret>,
        origin: Option<&str>,
        post: &Post,
        deadline: Deadline,
    ) -> Result<AccessToken, NoToken> {
        let unreached = NoToken::Unreached;
        let asked_at = Timestamp::now();
        let url = EndpointUrl::parse(&client.token_url, self.connector.rules());
        let url = url.map_err(|refused| unreached(failure::of_url(refused)))?;
        let TokenRequest { authorization, form } = TokenRequest::of(client);
        let mut headers = vec![
            (AUTHORIZATION.to_owned(), authorization),
            ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
            ("accept".to_owned(), "application/json".to_owned()),
            ("connection".to_owned(), "close".to_owned()),
        ];
        // Should the token URL lead back to this service by a relay, the api refuses the request.
        headers.extend(origin.map(|mark| (ORIGIN_HEADER.to_owned(), mark.to_owned())));
        let request = Post {
            project: post.project,
            endpoint: post.endpoint,
            url,
            headers,
            body: form.into_bytes(),
            auth: None,
        };
        let written = request::written(&request).ok_or(unreached(SendFailure::Unsendable))?;
        let mut connection =
            self.connector.connect(request.url.as_url(), None, deadline).await.map_err(unreached)?;
        let heard = exchange(&mut connection, &written, MAX_ANSWER_BYTES, deadline).await;
        connection.close();
        let Heard { status, body, truncated, broken_off, .. } =
            heard.map_err(|no_answer| unreached(no_answer.cause))?;
        let is_whole = !truncated && broken_off.is_none();
        AccessToken::read(status, is_whole.then_some(&body), asked_at)
    }
}

const fn verdict(outcome: &Outcome, is_from_before: bool) -> Verdict {
    match outcome {
        Outcome::Answered { status, .. } => access_token::after(*status, is_from_before),
        Outcome::Failed { .. } | Outcome::NoToken { .. } => Verdict::Keep,
    }
}
