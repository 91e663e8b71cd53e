//! Receivers that flood the delivery function. The function closes their connections at the attempt's deadline at the
//! latest, and spends no processor time on them after that.

use echo_lanes::hostile::Hostility;
use echo_lanes::siege;
use echo_lanes::suite;
use echo_lanes::world::World;

/// Checks that the siege keeps its limits. On a starved machine the siege runs up to three times.
async fn holds(hostility: Hostility) {
    std::fs::create_dir_all(suite::logs()).expect("a folder for the functions' output");
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut figures = siege::lay(&world, Some(hostility)).await.expect("a lane");
    for _ in 0..2 {
        if figures.problems.is_empty() || figures.starved < siege::STARVED {
            break;
        }
        figures = siege::lay(&world, Some(hostility)).await.expect("a lane");
    }
    assert!(figures.problems.is_empty(), "{figures:?}");
}

#[tokio::test]
async fn a_flood_of_continue_is_cut() {
    holds(Hostility::EndlessContinue).await;
}

#[tokio::test]
async fn a_flood_of_continue_over_tls_is_cut() {
    holds(Hostility::EndlessContinueOverTls).await;
}

#[tokio::test]
async fn a_flood_of_early_hints_is_cut() {
    holds(Hostility::EndlessEarlyHints).await;
}

#[tokio::test]
async fn a_trickle_of_continue_is_cut() {
    holds(Hostility::DripsContinue).await;
}

#[tokio::test]
async fn a_flood_of_header_lines_is_cut() {
    holds(Hostility::EndlessHeaders).await;
}

#[tokio::test]
async fn an_endless_chunk_size_is_cut() {
    holds(Hostility::EndlessChunkSize).await;
}

#[tokio::test]
async fn an_endless_chunk_extension_is_cut() {
    holds(Hostility::EndlessChunkExtension).await;
}

#[tokio::test]
async fn endless_trailers_are_cut() {
    holds(Hostility::EndlessTrailers).await;
}
