//! Detectors of resource attributes.

use opentelemetry::KeyValue;
use opentelemetry_sdk::{Resource, resource::ResourceDetector};
use propagation_core::semconv;

/// Detects `container.id` from the control groups of the process, on Linux.
///
/// ```
/// use propagation_opentelemetry::setup::{ContainerDetector, Setup};
///
/// let setup = Setup::new("orders").detector(ContainerDetector::default());
/// # let _ = setup;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ContainerDetector {}

impl ResourceDetector for ContainerDetector {
    fn detect(&self) -> Resource {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let id = id_in_cgroups(&read("/proc/self/cgroup")).or_else(|| id_in_mounts(&read("/proc/self/mountinfo")));
        resource(id.map(|id| KeyValue::new(semconv::CONTAINER_ID, id)))
    }
}

/// Detects `host.name`, `host.arch` and `os.type`; with [`with_id`](Self::with_id), `host.id`, too.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostDetector {
    id: bool,
}

impl HostDetector {
    /// Sets whether `host.id` is detected, from `/etc/machine-id`. Off by default: the id should not leave the organization that owns the host.
    #[must_use]
    pub fn with_id(mut self, detect: bool) -> Self {
        self.id = detect;
        self
    }
}

impl ResourceDetector for HostDetector {
    fn detect(&self) -> Resource {
        let read = |path| {
            let text = std::fs::read_to_string(path).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let name = read("/proc/sys/kernel/hostname").or_else(|| std::env::var("HOSTNAME").ok());
        let name = name.or_else(|| std::env::var("COMPUTERNAME").ok());
        let id = if self.id { read("/etc/machine-id") } else { None };
        let attributes = [
            name.map(|name| KeyValue::new(semconv::HOST_NAME, name)),
            Some(KeyValue::new(semconv::HOST_ARCH, architecture())),
            Some(KeyValue::new(semconv::OS_TYPE, operating_system())),
            id.map(|id| KeyValue::new(semconv::HOST_ID, id)),
        ];
        resource(attributes.into_iter().flatten())
    }
}

fn resource(attributes: impl IntoIterator<Item = KeyValue>) -> Resource {
    Resource::builder_empty().with_attributes(attributes).build()
}

/// Returns the architecture by the names of the semantic conventions.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

fn operating_system() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// Finds the id in `/proc/self/cgroup` (version 1): the last segment of a path, as in `docker-<id>.scope`.
fn id_in_cgroups(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let segment = line.rsplit('/').next()?;
        let segment = segment.strip_suffix(".scope").unwrap_or(segment);
        let segment = segment.rsplit(['-', ':']).next()?;
        is_id(segment).then(|| segment.to_owned())
    })
}

/// Finds the id in `/proc/self/mountinfo` (version 2): the files that a runtime mounts are in a folder of the container.
fn id_in_mounts(text: &str) -> Option<String> {
    let after = text.split("containers/").skip(1);
    after.filter_map(|rest| rest.split('/').next()).find(|id| is_id(id)).map(str::to_owned)
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";

    #[test]
    fn container_id_is_found_in_control_groups() {
        for line in [
            format!("13:name=systemd:/docker/{ID}"),
            format!("1:cpu:/kubepods/burstable/pod1a2b/{ID}"),
            format!("0::/system.slice/docker-{ID}.scope"),
            format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
            format!("0::/machine.slice/crio-{ID}.scope"),
            format!("12:pids:/a\n11:hugetlb:/k8s.io/containerd:{ID}"),
        ] {
            assert_eq!(id_in_cgroups(&line).as_deref(), Some(ID), "{line}");
        }
        for line in ["0::/", "", "0::/user.slice/session-2.scope", "1:name=systemd:/docker/7be928"] {
            assert_eq!(id_in_cgroups(line), None, "{line}");
        }
    }

    #[test]
    fn container_id_is_found_in_mounts() {
        for line in [
            format!("635 569 254:1 /docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda1 rw"),
            format!("983 961 0:56 /containers/overlay-containers/{ID}/userdata/hostname /etc/hostname rw"),
        ] {
            assert_eq!(id_in_mounts(&line).as_deref(), Some(ID), "{line}");
        }
        assert_eq!(id_in_mounts("22 1 254:1 / / rw - ext4 /dev/vda1 rw"), None);
        assert_eq!(id_in_mounts("22 1 254:1 /containers/short/x / rw"), None);
    }
}
