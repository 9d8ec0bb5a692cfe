"""What is looked at of a text."""

from __future__ import annotations

import pytest

from understudy.analyzers.compare.language_sample import (
    SAMPLE,
    beginning_of,
    prose_of,
    sample_of,
    with_beginning,
    without_code,
)

CODE = """\
SELECT id, total FROM orders WHERE customer_id = 41 ORDER BY created_at DESC LIMIT 10;
select name, price from products where price > 10
INNER JOIN customers c ON c.id = o.customer_id
def total(items):
    return sum(i.price for i in items if i.price is not None)
for f in *.log; do grep -c ERROR "$f" && echo "done with $f"; done
import numpy as np
from os import path
const total = items.reduce((a, b) => a + b.price, 0);
if (user == null) {
}
else:
npm install express
sudo apt install postgresql
git commit -m "first commit"
docker compose up -d
kubectl get pods -n production
id,name,price,stock
1,Ana Silva,12.50,3
2026-08-03 10:11:12 INFO worker started on port 8080
[ERROR] connection refused by upstream
Aug  3 10:11:12 host sshd[123]: Accepted password for root
"name": "Ana Silva",
{"city": "Berlin", "lines": [{"item": "umbrella", "quantity": 1}]}
name: value
max_connections=100
FROM python:3.11
RUN pip install -r requirements.txt
.btn { color: red; padding: 4px; }
public static void main(String[] args) {
System.out.println("Hello world");
    at com.foo.Bar.baz(Bar.java:10)
$ ls -la /usr/local/bin
let x = 5
| 1 | 2.5 | 3 |
func main() { fmt.Println("hi") }"""

PROSE = """\
Keep the bread in a cloth bag and it will stay fresh for three days.
Sie können die Datei config.yaml im Ordner /etc öffnen und ändern.
1. **Schritt:** Öffnen Sie die App.
- Use the function print() to write the value of foo_bar.
for example you can return it within 30 days
if you want to return it, please call us
Bestellen Sie bis 18:00 Uhr, z. B. per Post.
L'ordine è stato spedito; arriverà venerdì.
"I can't," she said, "come to-morrow."
with love from all of us in the office
Der Preis beträgt 12,50 €, die Lieferung dauert 3-5 Tage.
make sure to charge the battery before first use
| Produkt | Preis | Lieferzeit |
用 Python 写一个函数，返回列表的平均值。
आपका ऑर्डर कल भेजा गया था।
## Zusammenfassung der Ergebnisse"""


@pytest.mark.parametrize("line", CODE.splitlines())
def test_code_is_left_out(line: str) -> None:
    assert without_code(line) == ""


@pytest.mark.parametrize("line", PROSE.splitlines())
def test_prose_stays(line: str) -> None:
    assert without_code(line) == line


@pytest.mark.parametrize(
    "text",
    ["7f3a9c 00ff12\n2026-03-01 12:30:07 W0.5\n/var/lib/4f/data-7.bin", "12 34\n5;6", "", " \n "],
)
def test_nothing_stays_where_every_word_has_a_digit(text: str) -> None:
    assert without_code(text) == ""


@pytest.mark.parametrize("space", [" ", "\t", "\x1f", "\x85", "\xa0", "\u2028", "\u3000"])
def test_a_word_without_a_digit_stays_whatever_space_is_after_it(space: str) -> None:
    assert without_code(f"wort{space}1").split()[:1] == ["wort"]


def test_digits_of_other_scripts_may_stand_in_words() -> None:
    assert without_code("٣ ٤ طلب٥ ٦") == "٣ ٤ طلب٥ ٦"


def test_passages_stay_of_lines_that_are_mixed() -> None:
    line = "Given that f(x) = 4x^3 - 9x - 14, find the value of f(2)."
    assert without_code(line) == "find the value of"


def test_a_short_text_is_its_own_sample() -> None:
    prose, latter = sample_of("a few words")
    assert with_beginning(prose, latter) == latter == "a few words"


def test_a_long_text_is_sampled_at_three_places() -> None:
    text = "a" * 1_000 + "b" * 1_000 + "c" * 1_000
    prose, latter = sample_of(text)
    whole = with_beginning(prose, latter)
    assert set(whole.split("\n")) == {"a" * (SAMPLE // 2), "b" * (SAMPLE // 2), "c" * (SAMPLE // 2)}
    assert whole.endswith(latter)
    assert "a" not in latter


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("```python\nprint(1)\n```\nDas ist es.", " \nDas ist es."),
        ("Use `print` here", "Use   here"),
        ("<b>fett</b> und <i>kursiv</i>", " fett  und  kursiv "),
        ("siehe https://example.org/a?b=c dort", "siehe   dort"),
        ("an jemand@example.org schreiben", "an   schreiben"),
        ("`mail` an jemand@example.org, www.example.org", "  an  ,  "),
        ("ohne Ende ```js\nfoo()", "ohne Ende "),
    ],
)
def test_what_is_marked_is_left_out(text: str, prose: str) -> None:
    assert beginning_of(text) == prose
    assert with_beginning(*sample_of(text)) == prose


def test_marked_passages_anywhere_are_left_out_of_a_long_text() -> None:
    text = "Wort " * 100 + "```\n" + "code " * 200 + "\n```" + " Wort" * 100
    assert "code" not in with_beginning(*sample_of(text))
    assert "code" not in prose_of(sample_of(text)[0])


def test_prose_of_a_long_text_comes_from_three_places() -> None:
    text = "\n".join(["eins " * 10, "x = f(1);", "zwei " * 60, "y = g(2);", "drei " * 40])
    prose = prose_of(text)
    assert {"eins", "zwei", "drei"} <= set(prose.split())
    assert "f(" not in prose
