use super::*;

const SHORT: Duration = Duration::from_millis(300);

fn queue(settings: QueueSettings) -> Sqs {
    let sqs = Sqs::default();
    sqs.create("q", settings);
    sqs.create("dead", QueueSettings::default());
    sqs
}

fn send(sqs: &Sqs, body: &str, group: Option<&str>, delay: Duration) {
    let outgoing = Outgoing { body: body.to_owned(), group: group.map(str::to_owned), delay };
    sqs.send("q", outgoing).expect("a queue");
}

#[test]
fn a_message_that_is_not_deleted_comes_back_and_then_goes_to_the_dead_letter_queue() {
    let redrive = Some(("dead".to_owned(), 2));
    let sqs = queue(QueueSettings { visibility: SHORT, redrive, ..QueueSettings::default() });
    send(&sqs, "a", None, Duration::ZERO);
    for receives in 1..=2 {
        let received = sqs.receive("q", 10);
        assert_eq!(received.iter().map(|message| message.receives).collect::<Vec<_>>(), [receives]);
        assert!(sqs.receive("q", 10).is_empty(), "it is hidden");
        std::thread::sleep(SHORT * 2);
    }
    assert!(sqs.receive("q", 10).is_empty());
    assert_eq!((sqs.depth("q").total(), sqs.depth("dead").visible), (0, 1));
}

#[test]
fn a_delayed_message_is_not_in_flight_and_a_hidden_one_is() {
    let sqs = queue(QueueSettings { ceiling: 1, ..QueueSettings::default() });
    send(&sqs, "later", None, SHORT);
    assert_eq!(sqs.depth("q"), Depth { visible: 0, in_flight: 0, delayed: 1 });
    std::thread::sleep(SHORT * 2);
    send(&sqs, "second", None, Duration::ZERO);
    let received = sqs.receive("q", 10);
    assert_eq!(received.len(), 1, "the ceiling is one");
    assert_eq!(sqs.depth("q"), Depth { visible: 1, in_flight: 1, delayed: 0 });
    sqs.delete("q", &received[0].handle);
    assert_eq!(sqs.receive("q", 10).len(), 1);
}

#[test]
fn only_the_latest_handle_of_a_message_in_flight_hides_it() {
    let sqs = queue(QueueSettings { visibility: SHORT, ..QueueSettings::default() });
    send(&sqs, "a", None, Duration::ZERO);
    let first = sqs.receive("q", 1).remove(0);
    std::thread::sleep(SHORT * 2);
    assert_eq!(sqs.change_visibility("q", &first.handle, SHORT), Err(Refused::NotInFlight));
    let second = sqs.receive("q", 1).remove(0);
    assert_eq!(sqs.change_visibility("q", &first.handle, SHORT), Err(Refused::InvalidHandle));
    assert_eq!(sqs.change_visibility("q", &second.handle, Duration::ZERO), Ok(()));
    assert_eq!(sqs.receive("q", 1).len(), 1);
}

#[test]
fn quiet_groups_come_before_noisy_ones_and_equal_ones_in_order() {
    let sqs = queue(QueueSettings::default());
    let bodies = |received: Vec<Received>| -> Vec<String> {
        received.into_iter().map(|message| message.body).collect()
    };
    for _ in 0..40 {
        send(&sqs, "flood", Some("noisy"), Duration::ZERO);
    }
    send(&sqs, "late", Some("quiet"), Duration::ZERO);
    // With at most 29 messages in flight a group is not noisy, so the quiet group's message waits for its turn.
    for _ in 0..3 {
        assert_eq!(bodies(sqs.receive("q", 10)), vec!["flood"; 10]);
    }
    assert_eq!(bodies(sqs.receive("q", 2)), ["late", "flood"]);

    let sqs = queue(QueueSettings::default());
    for n in 0..440 {
        send(&sqs, &n.to_string(), Some(&(n % 11).to_string()), Duration::ZERO);
    }
    // Each of the eleven groups has less than a tenth of the messages in flight, so no group is noisy.
    let in_order: Vec<String> = (0..440).map(|n| n.to_string()).collect();
    assert_eq!(bodies(sqs.receive("q", 440)), in_order);
}
