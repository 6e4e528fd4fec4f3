// Logging in.

import { login as enter } from "./api.js";
import { h } from "./dom.js";

// told: why the reader must log in again.
export const login = (done, told) => {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const email = h("input", { type: "email", name: "email", autocomplete: "username", required: true });
  const password = h("input", { type: "password", name: "password", autocomplete: "current-password", required: true });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await enter(email.value, password.value);
      await done();
    } catch (error) {
      wrong.replaceChildren(error.message);
      password.value = "";
      password.focus();
    }
  };
  return h("form", { class: "form narrow", onsubmit: submit },
    h("h1", {}, "Log in"),
    told ? h("p", { id: "ended", class: "notice" }, told) : "",
    h("label", {}, "E-mail", email),
    h("label", {}, "Password", password),
    h("button", { class: "main" }, "Log in"),
    wrong,
    h("p", { class: "soft" }, "No account yet? Whoever runs this server adds you with ", h("code", {}, "loanmetrics members add"), "."));
};
