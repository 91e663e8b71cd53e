//! The names that a project's events may have: those of the deployment, and those of its account's own types.
//!
//! A call reads the account's own names only if it would otherwise refuse a name. The intake finds the account on the
//! routing row.

use echo_shared::event_name::{EventNames, OwnNames};
use echo_shared::store::StoreError;
use echo_shared::time::Timestamp;

use crate::app::App;
use crate::auth::InProject;
use crate::error::ApiError;

impl App {
    /// Reads a call that names events which producers may post. `read` gets the deployment's names first. If it refuses
    /// these for an unknown name, and only then, it gets the account's names too: those that this process keeps, and if it
    /// refuses these, those of the store. So a call with a name of the deployment costs no read, and neither does a call
    /// with another fault.
    ///
    /// # Errors
    /// The refusal of `read`. Or the store did not answer.
    pub async fn by_posted_names<T, E: Into<ApiError>>(
        &self,
        project: &InProject,
        read: impl Fn(&EventNames) -> Result<T, E>,
    ) -> Result<T, ApiError> {
        let own = self.store.own_names(&project.account_id, Timestamp::now());
        self.by_names(&self.settings.event_names, project, read, own).await
    }

    /// The same for events that endpoints may get, so `read` gets the operational names too. Each unknown name is looked up
    /// in the store, however recent the last look-up is, because people make a type and then subscribe to it.
    ///
    /// # Errors
    /// As those of [`Self::by_posted_names`].
    pub async fn by_delivered_names<T, E: Into<ApiError>>(
        &self,
        project: &InProject,
        read: impl Fn(&EventNames) -> Result<T, E>,
    ) -> Result<T, ApiError> {
        let own = self.store.own_names_of_now(&project.account_id, Timestamp::now());
        self.by_names(&self.settings.delivered_names, project, read, own).await
    }

    /// All names of events that the project's endpoints may get, those of its account's types included.
    ///
    /// # Errors
    /// When the store did not answer.
    pub async fn delivered_names(&self, project: &InProject) -> Result<EventNames, ApiError> {
        let own = self.store.own_names_of_now(&project.account_id, Timestamp::now()).await?;
        Ok(self.settings.delivered_names.with_own(own))
    }

    async fn by_names<T, E: Into<ApiError>>(
        &self,
        names: &EventNames,
        project: &InProject,
        read: impl Fn(&EventNames) -> Result<T, E>,
        own: impl Future<Output = Result<OwnNames, StoreError>>,
    ) -> Result<T, ApiError> {
        let refusal = match read(names) {
            Ok(read) => return Ok(read),
            Err(refusal) => refusal,
        };
        if read(&names.every()).is_err() {
            return Err(refusal.into());
        }
        if let Some(kept) = self.store.kept_own_names(&project.account_id, Timestamp::now())
            && let Ok(read) = read(&names.with_own(kept))
        {
            return Ok(read);
        }
        read(&names.with_own(own.await?)).map_err(Into::into)
    }
}
