//! The epoch files and myid against the data: what the start of a quorum member would say.

use super::{Finding, Level, Report};
use crate::proto::Zxid;
use crate::store::{Dirs, EpochFile, RealDisk, read_epoch};
use crate::tools::output::Failure;

/// Looks at them. A standalone server has none, and none of this concerns it.
pub fn check(dirs: &Dirs, report: &mut Report) -> Result<(), Failure> {
    let mut read = |which: EpochFile| match read_epoch(&RealDisk, dirs, which) {
        Ok(epoch) => epoch,
        Err(error) => {
            report
                .findings
                .push(Finding::new(Level::Risk, format!("a member of an ensemble refuses to start: {error}")));
            None
        }
    };
    let (accepted, current) = (read(EpochFile::Accepted), read(EpochFile::Current));
    report.epochs = (accepted, current);
    let whole = "Restore the folder as a whole, or empty it and let the member copy from the others";
    let of_data = i64::from(report.safe.unwrap_or(Zxid::ZERO).epoch());
    if let Some(current) = current.filter(|current| of_data > *current) {
        let pending =
            ["currentEpoch.tmp", "updatingEpoch"].into_iter().find(|name| dirs.snapshots.join(name).is_file());
        let finding = match pending {
            Some(name) => {
                let text = format!(
                    "currentEpoch says {current}, the data is of epoch {of_data}; {name} lets the next start go on"
                );
                Finding::new(Level::Warning, text)
            }
            None => {
                let text =
                    format!("a member refuses to start: currentEpoch says {current}, the data is of epoch {of_data}");
                Finding::new(Level::Risk, text).remedy(whole)
            }
        };
        report.findings.push(finding);
    }
    if let (Some(accepted), Some(current)) = (accepted, current)
        && accepted < current
    {
        let text =
            format!("a member refuses to start: acceptedEpoch says {accepted}, less than currentEpoch, {current}");
        report.findings.push(Finding::new(Level::Risk, text).remedy(whole));
    }
    if accepted.is_some() != current.is_some() {
        let missing = if accepted.is_some() { "currentEpoch" } else { "acceptedEpoch" };
        let text = format!("{missing} is missing: the next start makes it of the data, epoch {of_data}");
        let remedy =
            "A member that forgets a promise can follow two leaders: if it was lost, let it copy from the others";
        report.findings.push(Finding::new(Level::Warning, text).remedy(remedy));
    }
    let my_id = dirs.snapshots.parent().unwrap_or(&dirs.snapshots).join("myid");
    if let Ok(text) = std::fs::read_to_string(&my_id)
        && text.lines().next().unwrap_or_default().trim().parse::<u64>().is_err()
    {
        let text = format!("{}: the first line is no number", my_id.display());
        report.findings.push(Finding::new(Level::Warning, text).remedy("Write this member's number into it"));
    }
    Ok(())
}
