// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Two results files: how the second differs from the first, and whether it got worse.

use std::collections::BTreeSet;
use std::fmt::Debug;

use thiserror::Error;

use crate::bench::{self, Conditions, Figure, Group, Machine};
use crate::inference::{Difference, Summary};
use crate::results::{Clock, Run};

/// Why two files cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotComparable {
    /// One has no run that went well.
    #[error("{0} has no successful run")]
    Empty(&'static str),
    /// Every run of an arm on a machine failed.
    #[error("{arm} with {machine}: every run of {file} failed")]
    AllFailed {
        /// A or B.
        file: &'static str,
        /// The arm.
        arm: String,
        /// The machine.
        machine: Machine,
    },
    /// A named arm is not there.
    #[error("{file} has no arm `{arm}`; it has {has}")]
    NoSuchArm {
        /// A or B.
        file: &'static str,
        /// The arm that was asked for.
        arm: String,
        /// The arms that it has.
        has: String,
    },
    /// No name of an arm is in both.
    #[error("no arm has the same name in both: A has {a}, B has {b}; pair two with --arm A:B")]
    NoCommonArm {
        /// The arms of A.
        a: String,
        /// The arms of B.
        b: String,
    },
    /// Waiting for an emulator by the host's clock tells about the host.
    #[error(
        "{arms}: these times are of an emulated guest by the host's clock, and measure nothing but \
         the host; compare runs made with --icount"
    )]
    Emulated {
        /// The arms, as `p0` or `p0:p1`.
        arms: String,
    },
    /// The figures are not of the same kind.
    #[error("{arms}: {field} differs: {a} in A, {b} in B")]
    Field {
        /// The arms, as `p0` or `p0:p1`.
        arms: String,
        /// What differs.
        field: &'static str,
        /// Its value in A.
        a: String,
        /// Its value in B.
        b: String,
    },
}

/// One figure of both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Which figure.
    pub figure: Figure,
    /// Of A.
    pub a: Summary,
    /// Of B.
    pub b: Summary,
    /// How B differs; `None` where a median is zero.
    pub difference: Option<Difference>,
}

/// One arm of each file on one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The arm of A.
    pub arm_a: String,
    /// The arm of B.
    pub arm_b: String,
    /// The conditions, the same in both.
    pub conditions: Conditions,
    /// Whether instructions were counted: then repeats are no sample of anything.
    pub counted: bool,
    /// How many runs of A and of B there are.
    pub made: (usize, usize),
    /// How many of them failed and are left out.
    pub failed: (usize, usize),
    /// The figures that both have.
    pub rows: Vec<Row>,
    /// The figure by which the pair is judged, if it is among the rows.
    pub total: Figure,
}

impl Pair {
    /// Both arms, as `p0` or `p0:p1`.
    pub fn arms(&self) -> String {
        names(&self.arm_a, &self.arm_b)
    }

    /// How much worse the total is for certain, if that is more than `bound` (0.05 for 5 %).
    pub fn regression(&self, bound: f64) -> Option<&Row> {
        let row = self.rows.iter().find(|row| row.figure == self.total)?;
        let difference = row.difference.as_ref()?;
        bench::is_beyond(difference, self.counted, 1.0 + bound).then_some(row)
    }

    /// Whether a larger part of the runs failed in B than in A.
    pub fn fails_more(&self) -> bool {
        let (a, b) = self.failed;
        let (all_a, all_b) = self.made;
        b * all_a > a * all_b
    }
}

fn names(a: &str, b: &str) -> String {
    if a == b { a.to_owned() } else { format!("{a}:{b}") }
}

/// Compares `b` with `a`. `arms` names pairs of arms; if there are none, those of the same name are
/// compared, or the only arms if each has one.
///
/// # Errors
///
/// They are not about the same: another clock, accelerator, firmware, other faults, CPU counts or
/// layouts. Or there is nothing to compare with, since all runs of an arm failed.
pub fn compare(
    a: &[Run],
    b: &[Run],
    arms: &[(String, String)],
    seed: u64,
) -> Result<Vec<Pair>, NotComparable> {
    let (groups_a, groups_b) = (groups(a, "A")?, groups(b, "B")?);
    let mut pairs = Vec::new();
    for (arm_a, arm_b) in matched(&groups_a, &groups_b, arms)? {
        let (runs_a, runs_b) = (good(&groups_a, &arm_a, "A")?, good(&groups_b, &arm_b, "B")?);
        let arms = names(&arm_a, &arm_b);
        check(&arms, &runs_a, &runs_b)?;
        if runs_a.iter().chain(&runs_b).any(|run| run.clock == Clock::Host) {
            return Err(NotComparable::Emulated { arms });
        }
        for group_a in groups_a.iter().filter(|group| group.arm == arm_a) {
            let same =
                |group: &&Group<'_>| group.arm == arm_b && group.conditions == group_a.conditions;
            let Some(group_b) = groups_b.iter().find(same) else { continue };
            let rows = Figure::all().into_iter().filter_map(|figure| {
                Some(Row {
                    figure,
                    a: group_a.summary(figure, seed)?,
                    b: group_b.summary(figure, seed)?,
                    difference: bench::difference(group_a, group_b, figure, seed),
                })
            });
            pairs.push(Pair {
                arm_a: arm_a.clone(),
                arm_b: arm_b.clone(),
                conditions: group_a.conditions.clone(),
                counted: group_a.is_counted() && group_b.is_counted(),
                made: (group_a.made(), group_b.made()),
                failed: (group_a.failed, group_b.failed),
                rows: rows.collect(),
                total: bench::total_of(&[group_a, group_b]),
            });
        }
    }
    Ok(pairs)
}

/// The arms of each file that were not compared with any of the other.
pub fn left_out(a: &[Run], b: &[Run], pairs: &[Pair]) -> (Vec<String>, Vec<String>) {
    let others = |runs: &[Run], of: fn(&Pair) -> &str| {
        let arms = bench::arms(&bench::groups(runs)).into_iter();
        let others = arms.filter(|arm| !pairs.iter().any(|pair| of(pair) == *arm));
        others.map(str::to_owned).collect()
    };
    (others(a, |pair| &pair.arm_a), others(b, |pair| &pair.arm_b))
}

/// The groups, of which one at least has a run that went well.
fn groups<'a>(runs: &'a [Run], file: &'static str) -> Result<Vec<Group<'a>>, NotComparable> {
    let groups = bench::groups(runs);
    let any = groups.iter().any(|group| !group.good.is_empty());
    if any { Ok(groups) } else { Err(NotComparable::Empty(file)) }
}

/// The runs of an arm that went well. On each machine there must be one: what fails always is not
/// to be passed over.
fn good<'a>(
    groups: &[Group<'a>],
    arm: &str,
    file: &'static str,
) -> Result<Vec<&'a Run>, NotComparable> {
    let own = || groups.iter().filter(|group| group.arm == arm);
    if let Some(group) = own().find(|group| group.good.is_empty()) {
        let machine = group.conditions.machine.clone();
        return Err(NotComparable::AllFailed { file, arm: arm.to_owned(), machine });
    }
    Ok(own().flat_map(|group| group.good.iter().copied()).collect())
}

/// Which arm of A is compared with which of B.
fn matched(
    a: &[Group<'_>],
    b: &[Group<'_>],
    wanted: &[(String, String)],
) -> Result<Vec<(String, String)>, NotComparable> {
    let arms = |groups: &[Group<'_>]| -> Vec<String> {
        bench::arms(groups).into_iter().map(str::to_owned).collect()
    };
    let (arms_a, arms_b) = (arms(a), arms(b));
    for (arm_a, arm_b) in wanted {
        for (file, arm, has) in [("A", arm_a, &arms_a), ("B", arm_b, &arms_b)] {
            if !has.contains(arm) {
                let has = has.join(", ");
                return Err(NotComparable::NoSuchArm { file, arm: arm.clone(), has });
            }
        }
    }
    if !wanted.is_empty() {
        return Ok(wanted.to_vec());
    }
    if let ([only_a], [only_b]) = (arms_a.as_slice(), arms_b.as_slice()) {
        return Ok(vec![(only_a.clone(), only_b.clone())]);
    }
    let common: Vec<_> = arms_a.iter().filter(|arm| arms_b.contains(arm)).cloned().collect();
    if common.is_empty() {
        return Err(NotComparable::NoCommonArm { a: arms_a.join(", "), b: arms_b.join(", ") });
    }
    Ok(common.into_iter().map(|arm| (arm.clone(), arm)).collect())
}

/// Whether the runs differ in nothing that makes their figures something else.
fn check(arms: &str, a: &[&Run], b: &[&Run]) -> Result<(), NotComparable> {
    let machine = |run: &Run| run.machine().to_string();
    type Field = (&'static str, fn(&Run) -> String);
    let fields: [Field; 5] = [
        ("the clock", |run| run.clock.name().to_owned()),
        ("the accelerator", |run| run.accel.clone()),
        ("the number of physical CPUs", |run| {
            let pcpus = run.kvm.as_ref().and_then(|kvm| kvm.pcpus);
            pcpus.map_or_else(|| "not known".to_owned(), |pcpus| pcpus.to_string())
        }),
        ("the firmware", |run| run.firmware.clone().unwrap_or_else(|| "the machine's own".into())),
        ("the fault", |run| match run.faults.as_slice() {
            [] => "none".into(),
            faults => faults.join(" "),
        }),
    ];
    let same = |field: &'static str, of: &dyn Fn(&Run) -> String| {
        let values = |runs: &[&Run]| runs.iter().map(|run| of(run)).collect::<BTreeSet<_>>();
        let (in_a, in_b) = (values(a), values(b));
        if in_a == in_b {
            return Ok(());
        }
        let shown = |values: BTreeSet<String>| Vec::from_iter(values).join(", ");
        Err(NotComparable::Field { arms: arms.into(), field, a: shown(in_a), b: shown(in_b) })
    };
    for (field, of) in fields {
        same(field, &of)?;
    }
    same("the machine", &machine)?;
    // Each value may be in both, and yet not together with the same others.
    same("what goes together", &|run| format!("{} by {}", Conditions::of(run), run.clock.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    /// Eight runs of about `ns` by the counter of a real CPU.
    fn runs(arm: &str, cpus: u32, ns: u64) -> Vec<Run> {
        (0..8)
            .map(|repeat| {
                let mut run = samples::run(arm, &samples::parallel(cpus));
                run.bringup_ns = Some(ns + ns * (repeat % 4) / 100);
                run.clock = Clock::Counter;
                run.accel = "none".into();
                run
            })
            .collect()
    }

    fn pair(a: &[Run], b: &[Run]) -> Pair {
        compare(a, b, &[], 1).unwrap().remove(0)
    }

    #[test]
    fn runs_under_other_conditions_are_pairs_of_their_own() {
        let fast = samples::run("p1", &samples::parallel(4));
        let mut slow = fast.clone();
        slow.firmware = Some("slow".into());
        slow.bringup_ns = fast.bringup_ns.map(|total| 100 * total);
        let runs = [fast.clone(), slow.clone()];
        let pairs = compare(&runs, &runs, &[], 1).unwrap();
        let medians = |pair: &Pair| {
            let total = pair.rows.iter().find(|row| row.figure == Figure::Total).unwrap();
            (pair.conditions.to_string(), total.a.median, total.b.median)
        };
        let of = |run: &Run| run.bringup_ns.unwrap() as f64;
        assert_eq!(
            pairs.iter().map(medians).collect::<Vec<_>>(),
            [
                ("4 CPUs".to_owned(), of(&fast), of(&fast)),
                ("4 CPUs, firmware slow".to_owned(), of(&slow), of(&slow)),
            ]
        );
    }

    #[test]
    fn a_file_does_not_differ_from_itself() {
        let runs = runs("p1", 16, 1_000_000);
        let pair = pair(&runs, &runs);
        assert_eq!((pair.arms().as_str(), pair.total), ("p1", Figure::Total));
        assert!(pair.rows.iter().all(|row| row.difference.is_none_or(|d| d.ratio == 1.0)));
        assert_eq!(pair.regression(0.0), None);
        assert!(pair.rows.iter().any(|row| matches!(row.figure, Figure::Phase(_))));
    }

    #[test]
    fn a_regression_is_found_beyond_the_bound_only() {
        let (a, b) = (runs("p1", 16, 1_000_000), runs("p1", 16, 1_100_000));
        let regression = pair(&a, &b);
        let row = regression.regression(0.05).unwrap();
        assert!((row.difference.unwrap().ratio - 1.1).abs() < 0.01, "{row:?}");
        assert!(row.difference.unwrap().p < 0.001);
        assert_eq!(regression.regression(0.12), None);
        // Faster is no regression.
        assert_eq!(pair(&b, &a).regression(0.05), None);
    }

    #[test]
    fn noise_is_no_regression() {
        let a = runs("p1", 16, 1_000_000);
        let mut b = runs("p1", 16, 1_000_000);
        for (number, run) in b.iter_mut().enumerate() {
            run.bringup_ns = Some([1_500_000, 900_000][number % 2]);
        }
        assert!(pair(&a, &b).rows[0].difference.unwrap().ratio > 1.05);
        assert_eq!(pair(&a, &b).regression(0.05), None);
    }

    #[test]
    fn counted_instructions_need_no_interval() {
        let counted = |ns| {
            let mut runs = runs("p1", 16, ns);
            runs.truncate(1);
            runs[0].clock = Clock::Icount;
            runs
        };
        let pair = pair(&counted(1_000_000), &counted(1_060_000));
        assert!(pair.counted && pair.regression(0.05).is_some());
    }

    #[test]
    fn an_emulators_time_is_no_measure() {
        let mut a = runs("p1", 16, 1_000_000);
        for run in &mut a {
            run.accel = "tcg".into();
            run.clock = Clock::Host;
        }
        let error = compare(&a, &a, &[], 1).unwrap_err().to_string();
        assert!(error.starts_with("p1: these times are of an emulated guest"), "{error}");
    }

    #[test]
    fn arms_without_a_partner_are_named() {
        let a = [runs("p0", 16, 1_000_000), runs("p1", 16, 1_000_000)].concat();
        let b = [runs("base", 16, 1_000_000), runs("p0", 16, 1_000_000)].concat();
        let pairs = compare(&a, &b, &[], 1).unwrap();
        assert_eq!(left_out(&a, &b, &pairs), (vec!["p1".into()], vec!["base".into()]));
        assert_eq!(left_out(&a, &a, &compare(&a, &a, &[], 1).unwrap()), (vec![], vec![]));
    }

    fn refused(change: impl Fn(&mut Run)) -> String {
        let a = runs("p1", 16, 1_000_000);
        let mut b = a.clone();
        b.iter_mut().for_each(change);
        compare(&a, &b, &[], 1).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_alike_is_refused() {
        insta::assert_snapshot!(
            [
                refused(|run| run.clock = Clock::Icount),
                refused(|run| run.accel = "kvm".into()),
                refused(|run| run.firmware = Some("slow".into())),
                refused(|run| run.cpus = 8),
                refused(|run| run.topology = Some("sockets=2".into())),
                refused(|run| run.faults = vec!["cpu=1,kind=late,arg=9".into()]),
                refused(|run| run.ok = false),
            ]
            .join("\n"),
            @r"
        p1: the clock differs: counter in A, icount in B
        p1: the accelerator differs: none in A, kvm in B
        p1: the firmware differs: the machine's own in A, slow in B
        p1: the machine differs: 16 CPUs in A, 8 CPUs in B
        p1: the machine differs: 16 CPUs in A, 16 CPUs (sockets=2) in B
        p1: the fault differs: none in A, cpu=1,kind=late,arg=9 in B
        B has no successful run
        "
        );
        let both = [runs("p1", 16, 1_000_000), runs("p1", 8, 500_000)].concat();
        let error = compare(&both, &both[..8], &[], 1).unwrap_err().to_string();
        assert_eq!(error, "p1: the machine differs: 16 CPUs, 8 CPUs in A, 16 CPUs in B");
        // Both files have both firmwares and both machines.
        let crossed = |slow: u32| {
            let mut both = both.clone();
            let of_slow = both.iter_mut().filter(|run| run.cpus == slow);
            of_slow.for_each(|run| run.firmware = Some("slow".into()));
            both
        };
        let error = compare(&crossed(16), &crossed(8), &[], 1).unwrap_err().to_string();
        assert!(error.starts_with("p1: what goes together differs: 16 CPUs, none"), "{error}");
    }

    #[test]
    fn what_fails_is_not_passed_over() {
        let a = [runs("p0", 16, 1_000_000), runs("p1", 16, 1_000_000)].concat();
        let fail = |count: usize| {
            let mut b = a.clone();
            let of_p1 = b.iter_mut().filter(|run| run.arm == "p1");
            of_p1.take(count).for_each(|run| run.ok = false);
            b
        };
        let error = compare(&a, &fail(8), &[], 1).unwrap_err().to_string();
        assert_eq!(error, "p1 with 16 CPUs: every run of B failed");
        let worse = compare(&a, &fail(1), &[], 1).unwrap();
        assert_eq!(worse.iter().map(Pair::fails_more).collect::<Vec<_>>(), [false, true]);
        // The same part of more runs is no more.
        let twice = [fail(1), fail(1)].concat();
        assert!(!compare(&fail(1), &twice, &[], 1).unwrap()[1].fails_more());
    }

    #[test]
    fn arms_are_matched_by_name_or_as_told() {
        let a = [runs("base", 16, 1_000_000), runs("p0", 16, 1_000_000)].concat();
        let b = [runs("p0", 16, 1_000_000), runs("p1", 16, 1_000_000)].concat();
        let arms = |wanted: &[(String, String)]| -> Result<Vec<String>, NotComparable> {
            Ok(compare(&a, &b, wanted, 1)?.iter().map(Pair::arms).collect())
        };
        assert_eq!(arms(&[]).unwrap(), ["p0"]);
        assert_eq!(arms(&[("base".into(), "p1".into())]).unwrap(), ["base:p1"]);
        let error = arms(&[("p1".into(), "p1".into())]).unwrap_err().to_string();
        assert_eq!(error, "A has no arm `p1`; it has base, p0");
        // One arm each: whatever they are called.
        assert_eq!(compare(&a[..8], &b[..8], &[], 1).unwrap()[0].arms(), "base:p0");
        let error = compare(&a[..8], &b, &[], 1).unwrap_err().to_string();
        assert!(error.contains("A has base, B has p0, p1"), "{error}");
    }
}
