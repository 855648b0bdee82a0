//! One process, one case, one side: what `versus` measures. `list`, or `run|allocations|time SIDE CASE [TIMES]`.

mod cases;
mod count;
mod input;
mod ours;
mod peers;

use std::{hint::black_box, time::Instant};

use cases::{Case, Operation};

#[global_allocator]
static ALLOCATOR: count::Counting = count::Counting;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["list"] => {
            for case in Case::ALL {
                for side in ["ours"].iter().chain(peers::ALL) {
                    if operation(side, *case).is_some() {
                        println!("{} {side}", case.name());
                    }
                }
            }
        }
        ["run", side, case, times] => {
            let mut operation = must(side, case);
            warm(&mut operation);
            counted(&mut operation, times.parse().expect("a number"));
        }
        ["allocations", side, case] => println!("{}", allocations(&mut must(side, case))),
        ["time", peer, case] => {
            let (ours, theirs) = times(&mut must("ours", case), &mut must(peer, case));
            println!("{ours} {theirs}");
        }
        _ => panic!("list | run SIDE CASE TIMES | allocations SIDE CASE | time PEER CASE"),
    }
}

fn must(side: &str, case: &str) -> Operation {
    let case = Case::ALL.iter().find(|known| known.name() == case).expect("a known case");
    operation(side, *case).expect("a side that has the case")
}

fn operation(side: &str, case: Case) -> Option<Operation> {
    if side == "ours" { ours::operation(case) } else { peers::operation(side, case) }
}

fn repeat(operation: &mut Operation, times: u32) {
    for _ in 0..times {
        black_box(operation());
    }
}

/// Tables are built and caches filled before anything is counted.
fn warm(operation: &mut Operation) {
    repeat(operation, 20);
}

/// What callgrind collects, by this name.
#[inline(never)]
fn counted(operation: &mut Operation, times: u32) {
    for _ in 0..times {
        black_box(operation());
    }
}

/// Allocations of one operation, averaged over many, warm.
fn allocations(operation: &mut Operation) -> u64 {
    repeat(operation, 100);
    let before = count::allocations();
    repeat(operation, 100);
    (count::allocations() - before).div_ceil(100)
}

/// Nanoseconds an operation of each side: the best of many turns, taken alternately.
fn times(ours: &mut Operation, theirs: &mut Operation) -> (u64, u64) {
    const TURNS: u32 = 60;
    const A_TURN: u32 = 200;
    let turn = |operation: &mut Operation| {
        let began = Instant::now();
        repeat(operation, A_TURN);
        u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX) / u64::from(A_TURN)
    };
    let (mut best_ours, mut best_theirs) = (u64::MAX, u64::MAX);
    for _ in 0..TURNS {
        best_ours = best_ours.min(turn(ours));
        best_theirs = best_theirs.min(turn(theirs));
    }
    (best_ours, best_theirs)
}
