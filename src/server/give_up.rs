//! The end of a process that cannot go on. A full disk heals, so then it starts over; from everything else it ends with the
//! exit code of the original.

use super::{SPACE_TO_RESTART, ServerError};

/// Tells the program, in its environment, that it has ended because a disk was full: it then waits for space.
pub const DISK_WAS_FULL: &str = "OXKEEPER_DISK_WAS_FULL";

/// A full disk heals: this program starts over in the same process, which ends all connections and gives up what memory
/// holds beyond the disk, and then waits for space. Returns if there was another reason, or it cannot be started.
pub fn start_over(error: &ServerError) {
    use std::os::unix::process::CommandExt;
    if !error.is_disk_full() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    tracing::error!(
        %error,
        wanted_bytes = SPACE_TO_RESTART,
        "the disk is full: no client is served; the server starts again by itself once there is space"
    );
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(DISK_WAS_FULL, "1").exec();
    tracing::error!(%error, "cannot start again");
}

/// For threads that nobody waits for.
pub(super) fn give_up(error: &ServerError) -> ! {
    start_over(error);
    std::process::exit(error.exit_code())
}
