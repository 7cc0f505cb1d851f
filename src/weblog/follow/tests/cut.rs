//! The way to the files is lost at any call, with rotations in between.

use super::*;
use crate::weblog::follow::DRAIN;

/// Numbers that are the same in every run.
struct Choices(u64);

impl Choices {
    /// One below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn scenarios() -> u64 {
    if std::env::var_os("STROMBUS_LONG").is_some() { 1000 } else { 200 }
}

/// Writes and rotates in some way, as often as `rotations` allows.
fn act(rig: &mut Rig, choices: &mut Choices, rotations: &mut u64) {
    let lines = choices.below(4) * choices.below(30);
    rig.write(lines);
    if *rotations == 0 {
        return;
    }
    match choices.below(6) {
        0 => rig.rotate(),
        1 => rig.copy_and_truncate(),
        2 if rig.sibling(".1").exists() => {
            return rig.gzip(".1");
        }
        _ => return,
    }
    *rotations -= 1;
    if choices.below(3) > 0 {
        let lines = choices.below(20);
        rig.write(lines);
    }
    rig.now += Duration::from_secs(choices.below(3));
}

#[test]
fn a_way_that_is_lost_at_any_call_costs_no_line_and_repeats_none() {
    let mut cuts = 0;
    for seed in 0..scenarios() {
        let mut choices = Choices(seed);
        let mut rig = Rig::following(seed % 2 == 0);
        let mut rotations = 15;
        for _ in 0..60 {
            act(&mut rig, &mut choices, &mut rotations);
            if choices.below(2) == 0 {
                let calls = choices.below(60);
                rig.manners.calls_left.set(Some(calls));
            }
            let time = Duration::from_millis(choices.below(3000));
            rig.pass(if choices.below(10) == 0 { DRAIN } else { time });
            if let Some(why) = rig.ended.take() {
                assert_eq!(why.as_deref(), Some("connection lost"), "{seed}");
                cuts += 1;
                rig.manners.calls_left.set(None);
                act(&mut rig, &mut choices, &mut rotations);
                if choices.below(2) == 0 {
                    rig.restart();
                } else {
                    rig.start(all());
                }
            }
        }
        rig.manners.calls_left.set(None);
        if rig.ended.take().is_some() {
            rig.restart();
        }
        rig.pass(POLL);
        let expected: Vec<String> = (0..rig.written).map(line).collect();
        if rig.lines != expected {
            let at = rig.lines.iter().zip(&expected).position(|(got, wanted)| got != wanted);
            let got = at.map(|at| rig.lines.get(at.saturating_sub(2)..rig.lines.len().min(at + 5)));
            panic!(
                "seed {seed}: {} of {}, at {at:?}: {got:?}\n{:?}",
                rig.lines.len(),
                rig.written,
                rig.notes
            );
        }
        assert_eq!(rig.ledger.receipt().gaps, Vec::<String>::new(), "{seed}");
    }
    println!("figure: {cuts} cuts in {} scenarios", scenarios());
    assert!(cuts > scenarios(), "{cuts}");
}
