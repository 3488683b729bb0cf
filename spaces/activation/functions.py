"""Names of the parts that activation functions are composed of."""

#: Functions of x; beta is a number that is trained.
UNARY = (
    "x", "-x", "abs(x)", "x^2", "x^3", "sqrt(abs(x))", "beta*x", "x+beta", "log(abs(x)+eps)",
    "exp(x)", "sin(x)", "cos(x)", "sinh(x)", "cosh(x)", "tanh(x)", "asinh(x)", "atan(x)",
    "sinc(x)", "max(x;0)", "min(x;0)", "sigmoid(x)", "log(1+exp(x))", "exp(-x^2)", "erf(x)",
    "beta",
)  # fmt: skip

#: Functions of two numbers that are the same where these change places.
SYMMETRIC = ("a+b", "a*b", "max(a;b)", "min(a;b)", "exp(-beta*(a-b)^2)", "exp(-beta*abs(a-b))")
BINARY = (*SYMMETRIC, "a-b", "a/(b+eps)", "sigmoid(a)*b", "beta*a+(1-beta)*b")
