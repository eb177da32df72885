-- SPDX-License-Identifier: BSD-3-Clause
local function check(ok, what) assert(ok, what) print(what) end
local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end) end
local s = 0 for v in gen(1000) do s = s + v end check(s == 500500, "coroutines")
local t = setmetatable({}, {__index = function(_, k) return k * 2 end, __call = function(_, a) return a + 1 end})
check(t[21] == 42 and t(1) == 2, "metatables")
check(("key=value; k2=v2"):gsub("(%w+)=(%w+)", "%2=%1") == "value=key; v2=k2", "patterns")
local ok, err = pcall(function() error({code = 5}) end) check(not ok and err.code == 5, "errors")
local f = assert(io.open("/tmp/lua.txt", "w")) for i = 1, 2000 do f:write(i, "\n") end f:close()
local n = 0 for l in io.lines("/tmp/lua.txt") do n = n + tonumber(l) end check(n == 2001000, "files")
local p = io.popen("echo from a child; exit 3") local out = p:read("a") local _, how, code = p:close()
check(out == "from a child\n" and how == "exit" and code == 3, "children")
local g = {} for i = 1, 20000 do g[i % 100] = {i, tostring(i)} end collectgarbage() check(collectgarbage("count") < 5000, "garbage")
check(3 // 2 == 1 and 7 & 3 == 3 and 2^10 == 1024.0 and math.type(1) == "integer", "numbers")
local d = {} for i = 1, 1000 do d[i] = (i * 7919) % 1009 end table.sort(d) check(d[1] <= d[2] and d[999] <= d[1000], "sort")
check(string.pack("<i4z", 7, "x") == "\7\0\0\0x\0" and utf8.len("h\u{e9}") == 2, "strings")
os.exit(9)
