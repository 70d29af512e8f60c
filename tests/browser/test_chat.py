"""The chat."""

from __future__ import annotations

import json
import re

import httpx
from playwright.async_api import expect

from tests.browser.console_page import ConsolePage, text_of

SUMS = '/say Let me see.\n/call multiply {"a": 6, "b": 7}\n/then\n/say It is forty-two.'


async def test_an_answer_is_markdown_and_tells_who_served_it(console: ConsolePage) -> None:
    await console.open()
    answer = await console.ask(
        "sum\n\n## Rooms\n\n| Room | Price |\n| --- | --- |\n| **Garden** | 140 |\n\n[terms](https://example.com)"
    )
    await expect(answer.get_by_role("heading", name="Rooms")).to_be_visible()
    await expect(answer.get_by_role("cell", name="Garden")).to_be_visible()
    await expect(answer.get_by_role("link", name="terms")).to_have_attribute("rel", "noopener noreferrer nofollow")
    facts = await text_of(answer.locator(".facts"))
    assert re.search(r"assistant/fake-echo.*first token \d+ ms.*\d+ in, \d+ out.*\$0\.0", facts, re.DOTALL), facts


async def test_stop_cancels_the_turn_down_to_the_provider(console: ConsolePage, http: httpx.AsyncClient) -> None:
    await console.open()
    await console.model.select_option("slow")
    await console.say("/tokens 10000")
    await expect(console.answers).to_contain_text("Good morning")
    await console.press("Stop")
    await expect(console.answers).to_contain_text("You stopped this answer.")
    await expect(console.answers).to_contain_text("Good morning")
    await expect(console.button("Send")).to_be_visible()
    await _until_idle(http, "slow")
    assert (await http.get("/console/turns")).json()["turns"][0]["outcome"] == "cancelled"


async def test_ask_again_and_edit_replace_what_follows(console: ConsolePage) -> None:
    await console.open()
    await console.ask("First")
    await console.ask("Second")
    await console.page.get_by_role("button", name="Ask again").last.click()
    await expect(console.answers.last).to_contain_text("You said: Second")
    await expect(console.answers).to_have_count(2)

    await console.page.get_by_role("button", name="Edit and send again").first.click()
    await expect(console.page.get_by_role("textbox", name="Message", exact=True)).to_have_value("First")
    await console.page.get_by_role("textbox", name="Message", exact=True).fill("Changed")
    await console.page.keyboard.press("Enter")
    await expect(console.answers).to_contain_text(["You said: Changed"])
    await expect(console.questions).to_have_count(1)


async def test_an_answer_can_be_copied(console: ConsolePage) -> None:
    await console.open()
    answer = await console.ask("**bold**")
    await answer.get_by_role("button", name="Copy").click()
    await expect(console.page.get_by_text("Copied")).to_be_visible()
    assert await console.page.evaluate("navigator.clipboard.readText()") == "You said: **bold**"
    await console.page.evaluate("navigator.clipboard.writeText = () => Promise.reject('no'); null")
    await console.questions.get_by_role("button", name="Copy").click()
    await console.page.wait_for_function("navigator.clipboard.readText().then(text => text === '**bold**')")


async def test_tools_and_hand_offs_are_cards(console: ConsolePage) -> None:
    await console.open()
    answer = await console.ask(SUMS)
    card = answer.locator(".tool-card")
    await expect(card).to_contain_text("multiply")
    await expect(card).to_contain_text("done")
    await card.click()
    await expect(card.locator("pre").last).to_have_text("42")
    await expect(answer).to_contain_text("It is forty-two.")

    answer = await console.ask("I want to speak with a person.")
    await expect(answer.locator(".hand-off")).to_contain_text("transferCall")
    await expect(answer.locator(".hand-off")).to_contain_text("destination")


async def test_the_mark_shows_where_another_deployment_continued(console: ConsolePage) -> None:
    await console.open()
    await console.model.select_option("breaks-off")
    answer = await console.ask("/tokens 40")
    await expect(answer.locator(".continued")).to_contain_text("continued by assistant/fake-echo")
    before, after = await answer.locator(".markdown").all_inner_texts()
    assert len(f"{before} {after}".split()) == 40
    await expect(answer.locator(".facts")).to_contain_text("failed attempts: 1")


async def test_an_error_is_shown_in_words(console: ConsolePage) -> None:
    await console.open()
    answer = await console.ask("/fail 400")
    await expect(answer.get_by_role("alert")).to_contain_text("rejected the request")


async def test_the_request_is_shown_for_programs(console: ConsolePage) -> None:
    await console.open()
    await console.page.get_by_label("System prompt").fill('Be brief. It\'s "quoted".')
    await console.page.get_by_label("temperature").fill("0.5")
    await console.ask("Hello")
    await console.press("Show the request")
    shown = console.page.locator("pre.code")
    curl = await shown.inner_text()
    body = json.loads(curl.split("-d '", 1)[1].removesuffix("'").replace(r"'\''", "'"))
    assert body == {
        "model": "assistant",
        "messages": [
            {"role": "system", "content": 'Be brief. It\'s "quoted".'},
            {"role": "user", "content": "Hello"},
        ],
        "temperature": 0.5,
        "stream": True,
    }
    await console.press("Python")
    compile(await shown.inner_text(), "shown", "exec")
    await expect(shown).to_contain_text("temperature=0.5")
    await console.press("JavaScript")
    await expect(shown).to_contain_text('"content": "Hello"')
    await console.page.keyboard.press("Escape")
    await expect(shown).to_be_hidden()


async def test_models_aliases_and_personas_can_be_chosen(console: ConsolePage) -> None:
    await console.open()
    for number, model in enumerate(("客服-كبير-模型", "gpt-4o", "agent:chef")):
        await console.model.select_option(model)
        await expect(await console.ask(f"Hello {number}")).to_contain_text(f"You said: Hello {number}")
    await console.page.reload()
    await expect(console.model).to_have_value("agent:chef")
    await expect(console.answers.last).to_contain_text("You said: Hello 2")


async def test_a_model_cannot_put_script_into_the_page(console: ConsolePage) -> None:
    await console.open()
    await console.page.evaluate("window.ran = []; window.alert = (...given) => window.ran.push(given); null")
    answer = await console.ask("\n\n".join(["", *PAYLOADS]))
    await expect(answer).to_contain_text("the last one")
    assert (
        await answer.locator(
            "script, img, svg, iframe, object, embed, form, input, style, link, meta, base"
        ).evaluate_all("found => found.filter(each => !each.closest('button')).map(each => each.outerHTML)")
        == []
    )
    links = await answer.locator("a").evaluate_all("found => found.map(each => each.getAttribute('href') ?? '')")
    assert all(re.match(r"https?:|mailto:|tel:|$", each) for each in links), links
    attributes = await answer.locator("*").evaluate_all("found => found.flatMap(each => each.getAttributeNames())")
    assert not [each for each in attributes if each.startswith("on") or each in ("style", "srcdoc", "formaction")]
    for each in await answer.locator(".markdown a").all():
        await each.dispatch_event("mouseover")
    assert await console.page.evaluate("window.ran") == []


PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><use href='data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg/>#x'/></svg>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)' onmouseover='alert(1)'>one</a>",
    "[two](javascript:alert(1))",
    "[three](JaVaScRiPt:alert(1))",
    "[four](&#106;avascript:alert(1))",
    "[five](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[six](vbscript:alert(1))",
    "![seven](https://elsewhere.example/pixel.png)",
    "<img src='https://elsewhere.example/pixel.png'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<form action='https://elsewhere.example'><input name=attributes></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<style>@import 'https://elsewhere.example/x.css'; * { color: red }</style>",
    "<div style='background: url(https://elsewhere.example/x.png)'>styled</div>",
    "<object data='data:text/html,<script>alert(1)</script>'></object><embed src='javascript:alert(1)'>",
    "<base href='https://elsewhere.example/'><meta http-equiv=refresh content='0;url=https://elsewhere.example'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "`</code><img src=x onerror=alert(1)>`",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "| a |\n| --- |\n| <img src=x onerror=alert(1)> |",
    "[ref]\n\n[ref]: javascript:alert(1)",
    '<https://example.com/"onmouseover="alert(1)>',
    "the last one",
]


async def test_an_answer_of_a_megabyte_and_5000_messages_stay_usable(console: ConsolePage) -> None:
    await console.open()
    await console.model.select_option("客服-كبير-模型")
    await console.ask("\n\n".join(f"{n} {'x' * 50_000}" for n in range(20)))
    await expect(console.answers).to_contain_text("You said: 0 xxx")
    assert len(await text_of(console.answers.locator(".plain"))) > 1_000_000

    await console.begin()
    await console.page.evaluate(
        """sessionStorage.setItem("switchboard.chat", JSON.stringify(Array.from({ length: 5000 }, (_, n) => n % 2
          ? { role: "assistant", parts: [{ type: "text", text: `**Answer** ${n}` }], live: false }
          : { role: "user", text: `Question ${n}` })))"""
    )
    await console.open()
    await expect(console.answers.last).to_have_text("Answer 4999")
    assert await console.page.get_by_role("article").count() == 100
    await console.say("Hello")
    await expect(console.answers.last).to_contain_text("You said: Hello")
    await console.press("Show 100 earlier messages")
    await expect(console.page.get_by_role("article")).to_have_count(200)


async def _until_idle(http: httpx.AsyncClient, group: str) -> None:
    while any(
        each["in_flight"] for each in (await http.get("/health")).json()["deployments"] if each["model_name"] == group
    ):
        pass
