use continuity::{Error, shop, stock};
use propagation_opentelemetry::setup::Setup;
use propagation_testkit::otlp::OtlpReceiver;
use propagation_testkit::trace::{SpanKind, service};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_trace_through_both_services() -> Result<(), Error> {
    let traces = OtlpReceiver::start().await?;
    let stock = stock(Setup::new("stock").variables(traces.variables())).await?;
    let shop = shop(&stock.url, Setup::new("shop").variables(traces.variables())).await?;
    reqwest::get(format!("{}/orders/4711", shop.url)).await?.error_for_status()?;

    let trace = traces.continuous(&["shop", "stock"]).await?;
    trace.assert_edge(service("shop").kind(SpanKind::Client), service("stock").kind(SpanKind::Server));
    Ok(())
}
