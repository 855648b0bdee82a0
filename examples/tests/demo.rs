//! The demo as its user runs it, with the brokers inside.

use std::process::Command;

use serde_json::Value;

/// Runs the demo; answers its JSON report, and whether it ended well.
fn demo(arguments: &[&str]) -> (Value, bool) {
    let file =
        std::env::temp_dir().join(format!("demo-{}-{}.json", std::process::id(), arguments.join("").replace('/', "-")));
    let output = Command::new(env!("CARGO_BIN_EXE_demo")).args(arguments).arg("--report").arg(&file).output().unwrap();
    let report =
        std::fs::read(&file).unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    std::fs::remove_file(&file).unwrap();
    (serde_json::from_slice(&report).unwrap(), output.status.success())
}

#[test]
fn page_of_a_broken_trace_shows_the_break() {
    let file = std::env::temp_dir().join(format!("demo-{}.html", std::process::id()));
    let (report, well) = demo(&["--break", "amqp", "--html", file.to_str().unwrap()]);
    let page = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(!well);
    assert_eq!(report["broken_at"]["hop"], "amqp", "{report:#}");
    assert!(page.contains("✗ broken at amqp (payments → shipping)"));
    assert!(page.contains("the context was lost at the hop payments → shipping"));
    assert!(!page.contains('✓'));
}

/// The hops where the customer's address was on the wire.
fn wires_with_the_address(report: &Value) -> usize {
    let hops = report["hops"].as_array().unwrap();
    hops.iter().filter(|hop| hop["wire"].to_string().contains("customer0")).count()
}

#[test]
fn report_mode_passes_all_and_lists_keys_without_values() {
    let (enforced, well) = demo(&[]);
    assert!(well, "{enforced:#}");
    assert_eq!(wires_with_the_address(&enforced), 0);
    assert_eq!(enforced["reported"].as_array().unwrap().len(), 0);
    assert!(enforced["stopped"].to_string().contains("user.email"), "{enforced:#}");

    let (reported, well) = demo(&["--policy", "report"]);
    assert!(well, "{reported:#}");
    assert_eq!(reported["verdict"], "continuous");
    assert_eq!(wires_with_the_address(&reported), 5, "{reported:#}");
    assert_eq!(reported["stopped"].as_array().unwrap().len(), 0);
    let list = reported["reported"].as_array().unwrap();
    let listed = |key: &str, at: &str, rule: &str| {
        list.iter()
            .any(|entry| entry["key"] == key && entry["at"].as_str().unwrap().starts_with(at) && entry["rule"] == rule)
    };
    assert!(listed("user.email", "gateway, coming in", "shop-in"), "{list:#?}");
    assert!(list.iter().all(|entry| entry["reason"] == "not_allowed"), "{list:#?}");
    for service in ["gateway", "orders", "payments", "shipping", "notifications"] {
        for key in ["user.email", "customer.contact"] {
            assert!(listed(key, &format!("{service} → "), "shop-out"), "{key} at {service}: {list:#?}");
        }
    }
    assert!(!reported["reported"].to_string().contains("customer0"));
}
