//! The jobs of one stream that come in one batch.

use std::collections::HashMap;
use std::sync::Arc;

use echo_shared::job::StreamJob;
use tokio::sync::OnceCell;

/// The equal jobs of one stream in a batch. One of them acts for all: it acts after all of them were sent, so the others
/// have nothing left to do. A job that had taken the stream before acts by itself.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) messages: Vec<String>,
    pub(super) acting: OnceCell<String>,
}

/// For each job of a batch, its group.
pub(crate) fn of_batch<'a>(jobs: impl Iterator<Item = (&'a str, &'a StreamJob)>) -> Vec<Option<Arc<Group>>> {
    let jobs: Vec<_> = jobs.collect();
    let mut messages: HashMap<&StreamJob, Vec<String>> = HashMap::new();
    for (message, job) in &jobs {
        messages.entry(job).or_default().push((*message).to_owned());
    }
    let group = |(job, messages): (_, Vec<String>)| {
        let group = (messages.len() > 1).then(|| Arc::new(Group { messages, acting: OnceCell::new() }));
        (job, group)
    };
    let groups: HashMap<&StreamJob, Option<Arc<Group>>> = messages.into_iter().map(group).collect();
    jobs.iter().map(|(_, job)| groups.get(job).cloned().flatten()).collect()
}
