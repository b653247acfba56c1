const said = document.getElementById("said");
const login = document.getElementById("login");

async function show(headers) {
  const reply = await fetch("admin/api/info", { method: "POST", headers, body: "{}" });
  if (!reply.ok) throw new Error(await reply.text());
  const [node] = (await reply.json()).result.nodes;
  said.textContent = `${node.name}: ${node.num_clients} sessions of ${node.num_users} users`;
}

login.addEventListener("submit", async (event) => {
  event.preventDefault();
  const reply = await fetch("admin/auth", { method: "POST", body: new FormData(login) });
  if (!reply.ok) {
    said.textContent = await reply.text();
    return;
  }
  const { token } = await reply.json();
  login.hidden = true;
  await show({ Authorization: `token ${token}` });
});

const start = await (await fetch("admin/init")).json();
if (start.authenticated) await show({});
else login.hidden = false;
